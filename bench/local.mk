# benchmarks, built on demand: make bench
