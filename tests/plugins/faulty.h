/* SPDX-License-Identifier: MIT */
/* Items that break one rule each: struct params of the file begins with the
 * mode, an int32_t that each has its own default of. */
#ifndef TESTS_FAULTY_H
#define TESTS_FAULTY_H

#define FAULTY(name, kind_, mode, ops_)                                   \
    static const struct mohs_param name##_table[] = {                     \
        { "mode", "which rule to break", MOHS_P_INT, 0, mode, mode, mode, \
          NULL, NULL }                                                    \
    };                                                                    \
    static const struct mohs_item name = {                                \
        .size = sizeof name,                                              \
        .param_stride = sizeof(struct mohs_param),                        \
        .kind = kind_,                                                    \
        .id = #name,                                                      \
        .summary = "broken",                                              \
        .params = name##_table,                                           \
        .n_params = 1,                                                    \
        .params_size = sizeof(struct params),                             \
        .ops = &ops_,                                                     \
    };

#endif
