typedef int lmw_empty_report_table_c;
