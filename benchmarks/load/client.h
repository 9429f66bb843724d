/* What both load generators share: clock, keys, prepared requests, sockets, percentiles. */

#ifndef TOLLGATE_CLIENT_H
#define TOLLGATE_CLIENT_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const long SECOND_NS = 1000000000L;

typedef struct {
    char *bytes;
    size_t length;
} text;

/* One prepared request per key, sent in turn. */
typedef struct {
    text *items;
    size_t count, next;
} requests;

/* Measured times in nanoseconds. */
typedef struct {
    long *items;
    size_t count, room;
} samples;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND_NS + t.tv_nsec;
}

static text read_file(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) die(path);
    fseek(file, 0, SEEK_END);
    text found = {NULL, (size_t)ftell(file)};
    rewind(file);
    found.bytes = malloc(found.length + 1);
    if (fread(found.bytes, 1, found.length, file) != found.length) die(path);
    found.bytes[found.length] = 0;
    fclose(file);
    return found;
}

static text prepare_request(int port, const char *key, text body) {
    text made = {malloc(512 + body.length), 0};
    made.length = (size_t)sprintf(
        made.bytes,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
        "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
        "Accept: */*\r\nUser-Agent: benchmark\r\nContent-Length: %zu\r\n\r\n",
        port, key, body.length);
    memcpy(made.bytes + made.length, body.bytes, body.length);
    made.length += body.length;
    return made;
}

static requests prepare_requests(int port, const char *body_path, const char *keys_path) {
    text body = read_file(body_path), keys = read_file(keys_path);
    requests all = {NULL, 0, 0};
    for (char *key = strtok(keys.bytes, "\n"); key; key = strtok(NULL, "\n")) {
        if (all.count % 1024 == 0)
            all.items = realloc(all.items, (all.count + 1024) * sizeof(text));
        all.items[all.count++] = prepare_request(port, key, body);
    }
    if (!all.count) die("no keys");
    return all;
}

static void send_next(requests *all, int fd) {
    text *request = &all->items[all->next++ % all->count];
    for (size_t sent = 0; sent < request->length;) {
        ssize_t n = send(fd, request->bytes + sent, request->length - sent, MSG_NOSIGNAL);
        if (n < 0) return; /* the read that follows finds the connection closed */
        sent += (size_t)n;
    }
}

static int connect_loopback(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(fd, (void *)&address, sizeof address)) die("connect");
    return fd;
}

static void watch(int epoll, int fd, void *owner) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = owner};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void note(samples *all, long value_ns) {
    if (all->count == all->room) {
        all->room = all->room ? all->room * 2 : 65536;
        all->items = realloc(all->items, all->room * sizeof(long));
    }
    all->items[all->count++] = value_ns;
}

static int ascending(const void *left, const void *right) {
    long a = *(const long *)left, b = *(const long *)right;
    return (a > b) - (a < b);
}

static void print_percentiles(const char *name, samples *all) {
    static const int shares[] = {50, 99};
    qsort(all->items, all->count, sizeof(long), ascending);
    for (size_t i = 0; i < 2; i++) {
        size_t at = all->count ? (all->count - 1) * (size_t)shares[i] / 100 : 0;
        double us = all->count ? (double)all->items[at] / 1e3 : 0;
        printf(", \"%s_p%d_us\": %.1f", name, shares[i], us);
    }
}

#endif
