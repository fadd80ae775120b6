extern int base_placeholder_c; int base_placeholder_c;
