/* SPDX-License-Identifier: MIT */
/*
 * Everything a plugin author includes. A plugin is one shared object that
 * exports mohs_plugin_v1() (item.h) and links nothing of mohs.
 * plugins/README.md shows a whole one.
 */
#ifndef MOHS_PLUGIN_H
#define MOHS_PLUGIN_H

#include <mohs/abi.h>
#include <mohs/attack.h>
#include <mohs/corruption.h>
#include <mohs/error.h>
#include <mohs/ext/attack_cost.h>
#include <mohs/ext/attack_fit.h>
#include <mohs/ext/attack_state.h>
#include <mohs/ext/classifier.h>
#include <mohs/ext/compute.h>
#include <mohs/ext/graph.h>
#include <mohs/ext/log.h>
#include <mohs/ext/pair_scores.h>
#include <mohs/ext/scratch.h>
#include <mohs/ext/victim.h>
#include <mohs/ext/weights.h>
#include <mohs/host.h>
#include <mohs/item.h>
#include <mohs/metric.h>
#include <mohs/model.h>
#include <mohs/param.h>
#include <mohs/rng.h>
#include <mohs/util.h>

#endif
