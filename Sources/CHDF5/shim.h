#pragma once
#include <hdf5.h>

// HDF5's predefined types are macros over globals, which Swift does not import.
static inline hid_t qhdf5_native_float(void) { return H5T_NATIVE_FLOAT; }
