/*
 * mock_policy.h - a small policy whose parameters a test writes itself.
 */
#ifndef MOCK_POLICY_H
#define MOCK_POLICY_H

#include <stddef.h>
#include <rein/policy.h>

/* All parameters 0; NULL when out of memory. */
rein_policy *mock_policy_new(const rein_space *obs, const rein_space *act, const char *algo, const char *env);
/* Its parameters, *n of them. */
float *mock_policy_weights(rein_policy *policy, size_t *n);

#endif
