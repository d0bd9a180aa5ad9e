/* The engine in this process, as a backend. */
#ifndef LMW_BACKEND_EMBEDDED_H
#define LMW_BACKEND_EMBEDDED_H

#include "backend/backend.h"

extern const struct lmw_backend_ops lmw_backend_embedded;

#endif
