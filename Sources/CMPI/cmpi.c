// Without the package trait MPI this file is empty, and no MPI library is needed.
#ifdef QUBIC_MPI

#include "cmpi.h"

#include <mpi.h>
#include <string.h>
#include <sys/prctl.h>

_Static_assert(sizeof(MPI_Request) <= sizeof(uint64_t), "a request fits the handle");
_Static_assert(sizeof(MPI_Message) <= sizeof(uint64_t), "a message fits the handle");

int cmpi_start(int *rank, int *size, int *local_size, int *funneled) {
    int provided = MPI_THREAD_SINGLE;
    int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    if (code != MPI_SUCCESS) return code;
    *funneled = provided >= MPI_THREAD_FUNNELED;
    code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (code == MPI_SUCCESS) code = MPI_Comm_rank(MPI_COMM_WORLD, rank);
    if (code == MPI_SUCCESS) code = MPI_Comm_size(MPI_COMM_WORLD, size);
    if (code != MPI_SUCCESS) return code;
    MPI_Comm local;
    code = MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local);
    if (code != MPI_SUCCESS) return code;
    code = MPI_Comm_size(local, local_size);
    MPI_Comm_free(&local);
    return code;
}

void cmpi_library(char *text, int capacity) {
    char full[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    MPI_Get_library_version(full, &length);
    strncpy(text, full, (size_t)capacity - 1);
    text[capacity - 1] = 0;
}

int cmpi_send(const void *bytes, int count, int rank, int tag, cmpi_request *request) {
    MPI_Request own;
    int code = MPI_Isend(bytes, count, MPI_BYTE, rank, tag, MPI_COMM_WORLD, &own);
    if (code == MPI_SUCCESS) memcpy(&request->handle, &own, sizeof own);
    return code;
}

int cmpi_probe(int *found, int *source, int *tag, int *count, cmpi_message *message) {
    MPI_Status status;
    MPI_Message own;
    int code = MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, found, &own, &status);
    if (code != MPI_SUCCESS || !*found) return code;
    *source = status.MPI_SOURCE;
    *tag = status.MPI_TAG;
    memcpy(&message->handle, &own, sizeof own);
    return MPI_Get_count(&status, MPI_BYTE, count);
}

int cmpi_receive(void *bytes, int count, cmpi_message *message, cmpi_request *request) {
    MPI_Message announced;
    memcpy(&announced, &message->handle, sizeof announced);
    MPI_Request own;
    int code = MPI_Imrecv(bytes, count, MPI_BYTE, &announced, &own);
    if (code == MPI_SUCCESS) memcpy(&request->handle, &own, sizeof own);
    return code;
}

int cmpi_test(cmpi_request *request, int *done) {
    MPI_Request own;
    memcpy(&own, &request->handle, sizeof own);
    int code = MPI_Test(&own, done, MPI_STATUS_IGNORE);
    memcpy(&request->handle, &own, sizeof own);
    return code;
}

int cmpi_finish(void) { return MPI_Finalize(); }

void cmpi_abort(int status) { MPI_Abort(MPI_COMM_WORLD, status); }

void cmpi_error_text(int code, char *text, int capacity) {
    char full[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (MPI_Error_string(code, full, &length) != MPI_SUCCESS) strcpy(full, "unknown MPI error");
    strncpy(text, full, (size_t)capacity - 1);
    text[capacity - 1] = 0;
}

void cmpi_sharpen_timer(void) { prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL); }

#endif
