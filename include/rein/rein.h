/*
 * rein.h - everything: the umbrella over Rein's public headers.
 */
#ifndef REIN_REIN_H
#define REIN_REIN_H

#include <rein/env.h>
#include <rein/field.h>
#include <rein/mdp.h>
#include <rein/nn.h>
#include <rein/optim.h>
#include <rein/policy.h>
#include <rein/rng.h>
#include <rein/run.h>
#include <rein/status.h>
#include <rein/tensor.h>
#include <rein/wrap.h>

#endif
