# SPDX-License-Identifier: MIT
# Writes stats.h beside itself: reference values of SciPy and NumPy for the
# intervals and tests in core/results/stats.c.
import os

import numpy as np
import scipy.stats as ss

out = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "stats.h"),
           "w")
out.write("/* SPDX-License-Identifier: MIT */\n")
out.write("/* Made by stats.py from SciPy's binomtest and NumPy's percentile. */\n")

out.write("static const struct {\n    uint64_t b, c;\n    double p;\n} "
          "golden_mcnemar[] = {\n")
for b, c in [(0, 0), (0, 1), (1, 0), (5, 5), (3, 9), (10, 2), (1, 30),
             (40, 60), (123, 170), (500, 530), (2000, 2300), (49000, 50000),
             (0, 1500)]:
    p = ss.binomtest(min(b, c), b + c, 0.5).pvalue if b + c else 1.0
    out.write("    { %d, %d, %r },\n" % (b, c, float(p)))
out.write("};\n")

out.write("static const struct {\n    uint64_t hits, n;\n    double level, low, "
          "high;\n} golden_wilson[] = {\n")
for k, n, level in [(0, 10, .95), (10, 10, .95), (1, 3, .95), (7, 20, .95),
                    (412, 1000, .95), (412, 1000, .99), (25000, 50000, .9),
                    (3, 100000, .95)]:
    r = ss.binomtest(k, n).proportion_ci(level, method="wilson")
    out.write("    { %d, %d, %r, %r, %r },\n" % (k, n, level, float(r.low),
                                               float(r.high)))
out.write("};\n")

# Values are made by the same integer recurrence in the test.
out.write("static const struct {\n    unsigned n;\n    double level, low, high;\n"
          "} golden_percentile[] = {\n")
for n, level in [(1, .95), (2, .95), (10, .9), (999, .95), (1000, .95),
                 (1000, .99), (40, .5)]:
    x, v = 12345, []
    for _ in range(n):
        x = (x * 1103515245 + 12345) % 2**31
        v.append(x / 2**31)
    low, high = np.percentile(v, [50 * (1 - level), 100 - 50 * (1 - level)])
    out.write("    { %d, %r, %r, %r },\n" % (n, level, float(low), float(high)))
out.write("};\n")
