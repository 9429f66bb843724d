/* Streaming load: opens COUNT streams and reads each to its end.
 *
 * usage: streams PORT COUNT SECONDS BODY_FILE KEYS_FILE
 *
 * The fake upstream stamps every chunk with its own clock ("ts": CLOCK_MONOTONIC in ns), so
 * `lag` is the time from its write to our read, and `first` the time from the request to the
 * first chunk. Streams open one per millisecond, so that they don't wait for each other. Gives
 * up after SECONDS. Prints one JSON object.
 */

#include "client.h"

enum { ROOM = 1 << 17, APART_NS = 1000000 };

typedef struct {
    int fd;
    long started_ns;
    int has_status, has_first, is_done;
    size_t length;
    char bytes[ROOM + 1];
} stream;

static long chunks, finished, failed, live;
static samples lag, first;

/* Read the stamps of all whole chunks and return what must be kept for the next read. */
static char *read_stamps(stream *s, long read_ns) {
    char *kept = s->bytes, *end = s->bytes + s->length, *found;
    while ((found = memmem(kept, (size_t)(end - kept), "\"ts\":", 5))) {
        char *stop;
        long written_ns = strtol(found + 5, &stop, 10);
        if (stop >= end) return found;
        note(&lag, read_ns - written_ns);
        if (!s->has_first) note(&first, read_ns - s->started_ns);
        s->has_first = 1;
        chunks++;
        kept = stop;
    }
    return end - kept > 4096 ? end - 4096 : kept;
}

static void end_stream(stream *s, int is_good) {
    finished += is_good;
    failed += !is_good;
    live--;
    close(s->fd);
}

static void receive(stream *s) {
    ssize_t n = recv(s->fd, s->bytes + s->length, ROOM - s->length, 0);
    long read_ns = now_ns();
    if (n <= 0) {
        end_stream(s, 0);
        return;
    }
    s->length += (size_t)n;
    s->bytes[s->length] = 0;
    if (!s->has_status && strncmp(s->bytes, "HTTP/1.1 200", 12)) {
        fprintf(stderr, "%.300s\n", s->bytes);
        end_stream(s, 0);
        return;
    }
    s->has_status = 1;
    char *end = s->bytes + s->length, *kept = read_stamps(s, read_ns);
    if (memmem(kept, (size_t)(end - kept), "[DONE]", 6)) s->is_done = 1;
    if (s->is_done && end - s->bytes >= 5 && !memcmp(end - 5, "0\r\n\r\n", 5)) {
        end_stream(s, 1);
        return;
    }
    s->length = (size_t)(end - kept);
    memmove(s->bytes, kept, s->length);
}

int main(int words, char **word) {
    if (words != 6) return 2;
    int port = atoi(word[1]), epoll = epoll_create1(0);
    long count = atol(word[2]);
    requests all = prepare_requests(port, word[4], word[5]);
    stream *streams = calloc((size_t)count, sizeof(stream));
    long started = now_ns(), give_up = started + (long)(atof(word[3]) * 1e9);
    long opened = 0;
    while ((opened < count || live > 0) && now_ns() < give_up) {
        for (; opened < count && started + opened * APART_NS <= now_ns(); opened++, live++) {
            stream *s = &streams[opened];
            s->fd = connect_loopback(port);
            watch(epoll, s->fd, s);
            s->started_ns = now_ns();
            send_next(&all, s->fd);
        }
        struct epoll_event events[256];
        int ready = epoll_wait(epoll, events, 256, opened < count ? 1 : 100);
        for (int i = 0; i < ready; i++) receive(events[i].data.ptr);
    }
    printf("{\"chunks\": %ld, \"finished\": %ld, \"failed\": %ld, \"wall_s\": %.3f", chunks,
           finished, failed + live + count - opened, (double)(now_ns() - started) / 1e9);
    print_percentiles("first", &first);
    print_percentiles("lag", &lag);
    printf("}\n");
    return 0;
}
