// Only CMPI looks into it: MPI's constants are casts, which Swift does not import.
#include <mpi.h>
