/* SPDX-License-Identifier: MIT */
/* The commands, in the order help shows them. */
#include "config.h"

#include "cli/cli.h"

const struct cli_command *const cli_commands[] = {
    &command_run,
    &command_rerun,
    &command_embed,
    &command_corrupt,
    &command_attack,
    &command_data,
    &command_results,
    &command_report,
    &command_cache,
    &command_list,
    &command_info,
    &command_plugin,
    &command_devices,
    &command_doctor,
    &command_lua,
    &command_help,
    NULL,
};
