/* Time: monotonic nanoseconds for everything measured, wall time only as a label. */
#ifndef LMW_BASE_CLOCK_H
#define LMW_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t lmw_now_ns(void);        /* CLOCK_MONOTONIC */
int64_t lmw_boot_ns(void);       /* CLOCK_BOOTTIME: differs from the above by time suspended */
int64_t lmw_thread_cpu_ns(void); /* CPU time of the calling thread */
void lmw_sleep_until_ns(int64_t t_ns); /* absolute, CLOCK_MONOTONIC */
void lmw_date_iso(char out[32]);       /* now, UTC, "2026-11-21T03:05:00Z" */

#endif
