/* Open-loop load: requests leave at a fixed rate whatever comes back.
 *
 * usage: rate PORT PER_SECOND SECONDS BODY_FILE KEYS_FILE
 *
 * Latency counts from the moment a request was due, so a stall is charged to every request that
 * had to wait for it. The first tenth warms up and is not measured. Prints one JSON object.
 */

#include "client.h"

enum { CONNECTIONS = 128, ANSWER_ROOM = 65536 };

typedef struct {
    int fd;
    long due_ns;
    size_t length;
    char answer[ANSWER_ROOM];
} connection;

static connection connections[CONNECTIONS];
static connection *idle[CONNECTIONS];
static size_t idle_count;
static long done, failed;
static samples latency;

static int is_complete(connection *c) {
    c->answer[c->length] = 0;
    char *end = strstr(c->answer, "\r\n\r\n");
    if (!end) return 0;
    char *declared = strcasestr(c->answer, "content-length:");
    if (declared && declared < end)
        return c->length >= (size_t)(end + 4 - c->answer) + (size_t)atol(declared + 15);
    return !memcmp(c->answer + c->length - 5, "0\r\n\r\n", 5);
}

static void finish(connection *c, int is_good, long warm_up) {
    if (!is_good) failed++;
    else if (done >= warm_up) note(&latency, now_ns() - c->due_ns);
    done++;
}

static void receive(connection *c, long warm_up) {
    ssize_t n = recv(c->fd, c->answer + c->length, ANSWER_ROOM - 1 - c->length, 0);
    if (n <= 0) { /* not put back: a lost connection is a lost request */
        close(c->fd);
        finish(c, 0, warm_up);
        return;
    }
    c->length += (size_t)n;
    if (!is_complete(c)) return;
    finish(c, !strncmp(c->answer, "HTTP/1.1 200", 12), warm_up);
    idle[idle_count++] = c;
}

int main(int count, char **words) {
    if (count != 6) return 2;
    int port = atoi(words[1]), epoll = epoll_create1(0);
    double per_second = atof(words[2]), seconds = atof(words[3]);
    requests all = prepare_requests(port, words[4], words[5]);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        connections[i].fd = connect_loopback(port);
        watch(epoll, connections[i].fd, &connections[i]);
        idle[idle_count++] = &connections[i];
    }
    long total = (long)(per_second * seconds), sent = 0;
    double gap_ns = (double)SECOND_NS / per_second;
    long start = now_ns() + SECOND_NS / 20, give_up = start + (long)((seconds + 10) * 1e9);
    while (done < total && now_ns() < give_up) {
        while (sent < total && idle_count && start + (long)((double)sent * gap_ns) <= now_ns()) {
            connection *c = idle[--idle_count];
            c->due_ns = start + (long)((double)sent++ * gap_ns);
            c->length = 0;
            send_next(&all, c->fd);
        }
        long next = start + (long)((double)sent * gap_ns) - now_ns();
        if (sent == total || !idle_count) next = SECOND_NS / 200;
        struct timespec wait = {0, next < 0 ? 0 : next > SECOND_NS / 2 ? SECOND_NS / 2 : next};
        struct epoll_event events[CONNECTIONS];
        int ready = epoll_pwait2(epoll, events, CONNECTIONS, &wait, NULL);
        for (int i = 0; i < ready; i++) receive(events[i].data.ptr, total / 10);
    }
    printf("{\"sent\": %ld, \"done\": %ld, \"failed\": %ld", sent, done - failed, failed);
    print_percentiles("latency", &latency);
    printf("}\n");
    return 0;
}
