extern int store_placeholder_c; int store_placeholder_c;
