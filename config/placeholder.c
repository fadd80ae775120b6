extern int config_placeholder_c; int config_placeholder_c;
