#ifndef CMPI_H
#define CMPI_H

#include <stdint.h>

// MPI as plain functions: its handles and constants are macros and casts, which Swift cannot import, so none of them
// shows here. All calls come from the one thread that called cmpi_start. None waits for another process except
// cmpi_start and cmpi_finish. Every int result is 0 or MPI's error code.

/// A send or a receive on its way.
typedef struct {
    uint64_t handle;
} cmpi_request;

/// A message that has been announced and not been received.
typedef struct {
    uint64_t handle;
} cmpi_message;

/// Joins the job. `local_size` is the number of its processes on this machine; `funneled` whether MPI allows other
/// threads beside this one.
int cmpi_start(int *rank, int *size, int *local_size, int *funneled);

// Doorbells, in memory that the processes of a machine share. MPI can only be polled: a rank that has nothing to do
// sleeps on its doorbell instead, and whoever has something for it rings.

/// How often the own doorbell was rung; to be read before one looks for work.
uint32_t cmpi_rings(void);

/// Wakes a rank, if it is on this machine. From any thread, until cmpi_finish.
void cmpi_ring(int rank);

/// Sleeps until the own doorbell is rung, or for so many nanoseconds; not at all if it was rung since `rings` was read.
void cmpi_sleep(uint32_t rings, int64_t nanoseconds);

/// The MPI library's name and version; `capacity` bytes at most, with the ending zero.
void cmpi_library(char *text, int capacity);

/// Begins to send; `bytes` stay as they are until the request is done.
int cmpi_send(const void *bytes, int count, int rank, int tag, cmpi_request *request);

/// Looks for a message that has come; takes it out of the queue, so that cmpi_receive gets this one.
int cmpi_probe(int *found, int *source, int *tag, int *count, cmpi_message *message);

/// Begins to receive an announced message into `bytes`.
int cmpi_receive(void *bytes, int count, cmpi_message *message, cmpi_request *request);

/// Whether a request is done; it is gone then.
int cmpi_test(cmpi_request *request, int *done);

/// Leaves the job in order; waits for all others.
int cmpi_finish(void);

/// Ends all processes of the job at once, whatever they do.
void cmpi_abort(int status);

void cmpi_error_text(int code, char *text, int capacity);

/// Lets short waits of the calling thread end on time: the system may otherwise add 50 µs to each.
void cmpi_sharpen_timer(void);

#endif
