// Without the package trait MPI this file is empty, and no MPI library is needed.
#ifdef QUBIC_MPI

// For syscall.
#define _GNU_SOURCE

#include "cmpi.h"

#include <linux/futex.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(MPI_Request) <= sizeof(uint64_t), "a request fits the handle");
_Static_assert(sizeof(MPI_Message) <= sizeof(uint64_t), "a message fits the handle");

// A doorbell has a cache line of its own.
typedef struct {
    uint32_t rings;
    uint32_t sleeps;
    char rest[56];
} doorbell;

static struct {
    MPI_Comm comm;
    MPI_Win window;
    doorbell *own;
    // By rank; NULL for those on other machines.
    doorbell **all;
} machine;

// Lays out the doorbells of the processes of `machine.comm`, `local_size` of the job's `size`.
static int hang_doorbells(int size, int local_size) {
    int code = MPI_Win_allocate_shared(
        sizeof(doorbell), 1, MPI_INFO_NULL, machine.comm, &machine.own, &machine.window);
    if (code != MPI_SUCCESS) return code;
    memset(machine.own, 0, sizeof *machine.own);
    MPI_Group here, everyone;
    code = MPI_Comm_group(machine.comm, &here);
    if (code == MPI_SUCCESS) code = MPI_Comm_group(MPI_COMM_WORLD, &everyone);
    if (code != MPI_SUCCESS) return code;
    machine.all = calloc((size_t)size, sizeof *machine.all);
    if (!machine.all) return MPI_ERR_NO_MEM;
    for (int local = 0; local < local_size && code == MPI_SUCCESS; local++) {
        int rank = 0, unit = 0;
        MPI_Aint bytes = 0;
        doorbell *bell = NULL;
        code = MPI_Group_translate_ranks(here, 1, &local, everyone, &rank);
        if (code == MPI_SUCCESS) code = MPI_Win_shared_query(machine.window, local, &bytes, &unit, &bell);
        if (code == MPI_SUCCESS) machine.all[rank] = bell;
    }
    MPI_Group_free(&here);
    MPI_Group_free(&everyone);
    return code == MPI_SUCCESS ? MPI_Barrier(machine.comm) : code;
}

int cmpi_start(int *rank, int *size, int *local_size, int *funneled) {
    int provided = MPI_THREAD_SINGLE;
    int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    if (code != MPI_SUCCESS) return code;
    *funneled = provided >= MPI_THREAD_FUNNELED;
    code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (code == MPI_SUCCESS) code = MPI_Comm_rank(MPI_COMM_WORLD, rank);
    if (code == MPI_SUCCESS) code = MPI_Comm_size(MPI_COMM_WORLD, size);
    if (code != MPI_SUCCESS) return code;
    code = MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine.comm);
    if (code == MPI_SUCCESS) code = MPI_Comm_size(machine.comm, local_size);
    return code == MPI_SUCCESS ? hang_doorbells(*size, *local_size) : code;
}

uint32_t cmpi_rings(void) { return __atomic_load_n(&machine.own->rings, __ATOMIC_SEQ_CST); }

void cmpi_ring(int rank) {
    doorbell *bell = machine.all[rank];
    if (!bell) return;
    __atomic_add_fetch(&bell->rings, 1, __ATOMIC_SEQ_CST);
    // A sleeper says so before the kernel compares `rings`, so either it is seen here or it does not fall asleep.
    if (__atomic_load_n(&bell->sleeps, __ATOMIC_SEQ_CST))
        syscall(SYS_futex, &bell->rings, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void cmpi_sleep(uint32_t rings, int64_t nanoseconds) {
    struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    __atomic_store_n(&machine.own->sleeps, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &machine.own->rings, FUTEX_WAIT, rings, &time, NULL, 0);
    __atomic_store_n(&machine.own->sleeps, 0, __ATOMIC_SEQ_CST);
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

int cmpi_finish(void) {
    int freed = MPI_Win_free(&machine.window);
    if (freed == MPI_SUCCESS) freed = MPI_Comm_free(&machine.comm);
    free(machine.all);
    int finished = MPI_Finalize();  // also where something stayed: without it the launcher takes the end for a crash
    return freed == MPI_SUCCESS ? finished : freed;
}

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
