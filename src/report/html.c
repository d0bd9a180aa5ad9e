typedef int lmw_empty_report_html_c;
