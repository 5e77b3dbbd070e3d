// HDF5 for Swift: what the library offers as macros, and its error stack as text.
// No function here locks; Runtime/Trace/HDF5.swift owns the one lock that a serial HDF5 needs.
#pragma once
#include <hdf5.h>
#include <hdf5_hl.h>
#include <stdio.h>
#include <string.h>

// Predefined types are macros over globals, which Swift does not import. Valid after qhdf5_start().
static inline hid_t qhdf5_native_float(void) { return H5T_NATIVE_FLOAT; }
static inline hid_t qhdf5_native_double(void) { return H5T_NATIVE_DOUBLE; }
static inline hid_t qhdf5_native_int32(void) { return H5T_NATIVE_INT32; }
static inline hid_t qhdf5_native_int64(void) { return H5T_NATIVE_INT64; }
static inline hid_t qhdf5_file_float32(void) { return H5T_IEEE_F32LE; }
static inline hid_t qhdf5_file_double(void) { return H5T_IEEE_F64LE; }
static inline hid_t qhdf5_file_int32(void) { return H5T_STD_I32LE; }
static inline hid_t qhdf5_file_int64(void) { return H5T_STD_I64LE; }
static inline hid_t qhdf5_c_string(void) { return H5T_C_S1; }
static inline hid_t qhdf5_dataset_creation(void) { return H5P_DATASET_CREATE; }
static inline hid_t qhdf5_dataset_access(void) { return H5P_DATASET_ACCESS; }
static inline hid_t qhdf5_group_creation(void) { return H5P_GROUP_CREATE; }
static inline hid_t qhdf5_file_access(void) { return H5P_FILE_ACCESS; }
static inline hid_t qhdf5_default(void) { return H5P_DEFAULT; }
static inline hid_t qhdf5_all(void) { return H5S_ALL; }
static inline unsigned qhdf5_read_only(void) { return H5F_ACC_RDONLY; }
static inline unsigned qhdf5_truncate(void) { return H5F_ACC_TRUNC; }
static inline size_t qhdf5_variable_length(void) { return H5T_VARIABLE; }
static inline hsize_t qhdf5_unlimited(void) { return H5S_UNLIMITED; }

// A new IEEE 754 half, little end first: h5py reads it as float16. The caller closes it.
static inline hid_t qhdf5_make_float16(void) {
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    if (type < 0) return type;
    if (H5Tset_fields(type, 15, 10, 5, 0, 10) < 0 || H5Tset_size(type, 2) < 0 || H5Tset_ebias(type, 15) < 0) {
        H5Tclose(type);
        return -1;
    }
    return type;
}

// Once, before anything else. Without H5dont_atexit, HDF5 tries at exit to flush the files that a full disk kept it
// from closing, and aborts or loops; our owners close what they opened. External links are unregistered so that a
// foreign trace cannot make us open another file.
static inline int qhdf5_start(void) {
    if (H5dont_atexit() < 0 || H5open() < 0) return -1;
    H5Lunregister(H5L_TYPE_EXTERNAL);
    return 0;
}

// HDF5 prints its error stack to stderr by itself unless told not to; per thread in a thread-safe build.
static inline void qhdf5_silence(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

typedef struct {
    char *text;
    size_t capacity;
} qhdf5_message;

static inline herr_t qhdf5_keep_innermost(unsigned n, const H5E_error2_t *error, void *context) {
    qhdf5_message *message = (qhdf5_message *)context;
    if (n == 0 && error->desc != NULL) snprintf(message->text, message->capacity, "%s", error->desc);
    return 0;
}

// The description of the innermost error of the last failed call; empty if there is none.
static inline void qhdf5_error(char *text, size_t capacity) {
    qhdf5_message message = {text, capacity};
    if (capacity > 0) text[0] = '\0';
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, qhdf5_keep_innermost, &message);
}
