/* SPDX-License-Identifier: MIT */
/*
 * An OpenCL driver that dies as soon as it is asked for its platforms, as
 * real ones do: the test of probing loads it through OCL_ICD_VENDORS.
 * BROKEN_ICD=hang makes it sleep instead.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *clGetExtensionFunctionAddress(const char *name);
int clIcdGetPlatformIDsKHR(unsigned n, void **platforms, unsigned *count);
int clGetPlatformInfo(void *platform, unsigned what, size_t n, void *value,
                      size_t *size);

__attribute__((visibility("default")))
int clIcdGetPlatformIDsKHR(unsigned n, void **platforms, unsigned *count)
{
    const char *how = getenv("BROKEN_ICD");
    (void)n, (void)platforms, (void)count;
    if (how && !strcmp(how, "hang"))
        sleep(60);
    raise(SIGKILL); /* also kills under sanitizers, without their report */
    return -1;
}

__attribute__((visibility("default")))
void *clGetExtensionFunctionAddress(const char *name)
{
    int (*f)(unsigned, void **, unsigned *) = clIcdGetPlatformIDsKHR;
    void *p;
    memcpy(&p, &f, sizeof p);
    return strcmp(name, "clIcdGetPlatformIDsKHR") ? NULL : p;
}

/* The loader wants it to exist. */
__attribute__((visibility("default")))
int clGetPlatformInfo(void *platform, unsigned what, size_t n, void *value,
                      size_t *size)
{
    (void)platform, (void)what, (void)n, (void)value, (void)size;
    return -30;
}
