/* A fake OpenAI-compatible upstream that costs next to nothing: one epoll loop, prepared bytes.
 *
 * usage: upstream PORT
 *
 * Every POST is answered by the same chat completion. A body with "stream":true gets "n_chunks"
 * events "delay_us" apart (the first at once), then the usage and [DONE]. Each event carries
 * "ts", CLOCK_MONOTONIC in ns, so that a load generator can tell how long it travelled.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { BODY_ROOM = 1 << 16, MOST_STREAMS = 1 << 16, TICK_NS = 500000 };

#define ANSWER_HEAD "\"id\":\"chatcmpl-0123456789abcdefghijklmnopqrs\",\"created\":1763770000," \
                    "\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\","
#define DETAILS "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0}," \
                "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}"

typedef struct {
    int fd, slot, is_streaming, is_gone;
    long chunks, sent, gap_ns, due_ns;
    size_t length;
    char bytes[BODY_ROOM + 1];
} connection;

static connection *streams[MOST_STREAMS];
static int stream_count, epoll, timer;
static char answer[4096];
static size_t answer_length;

static long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void prepare_answer(void) {
    char body[2048], text[611];
    for (size_t i = 0; i < sizeof text - 1; i++) text[i] = "lorem ipsum dolor sit amet, "[i % 28];
    text[sizeof text - 1] = 0;
    int length = snprintf(
        body, sizeof body,
        "{\"object\":\"chat.completion\"," ANSWER_HEAD
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\","
        "\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":219,\"completion_tokens\":110,\"total_tokens\":329," DETAILS
        "}}", text);
    answer_length = (size_t)snprintf(
        answer, sizeof answer,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
        "x-request-id: req_0123456789abcdef\r\nopenai-processing-ms: 12\r\n\r\n%s", length, body);
}

static void put(connection *c, const char *bytes, size_t length) {
    while (length && !c->is_gone) {
        ssize_t n = send(c->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            bytes += n;
            length -= (size_t)n;
        } else if (errno == EAGAIN) {
            poll(&(struct pollfd){.fd = c->fd, .events = POLLOUT}, 1, 100);
        } else {
            c->is_gone = 1;
        }
    }
}

static void tick(int is_on) {
    long every = is_on ? TICK_NS : 0;
    timerfd_settime(timer, 0, &(struct itimerspec){{0, every}, {0, every}}, NULL);
}

static void start_stream(connection *c) {
    c->is_streaming = 1;
    c->slot = stream_count;
    streams[stream_count++] = c;
    if (stream_count == 1) tick(1);
}

static void end_stream(connection *c) {
    c->is_streaming = 0;
    streams[c->slot] = streams[--stream_count];
    streams[c->slot]->slot = c->slot;
    if (!stream_count) tick(0);
}

static void put_event(connection *c, const char *event, int length, const char *tail) {
    char framed[1536];
    int size = sprintf(framed, "%x\r\n%s\r\n%s", length, event, tail);
    put(c, framed, (size_t)size);
}

static void put_content(connection *c) {
    char event[1024];
    int length = sprintf(
        event,
        "data: {\"object\":\"chat.completion.chunk\"," ANSWER_HEAD
        "\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word%ld\"},\"logprobs\":null,"
        "\"finish_reason\":%s}],\"ts\":%ld}\n\n",
        c->sent, c->sent + 1 == c->chunks ? "\"stop\"" : "null", now_ns());
    c->sent++;
    put_event(c, event, length, "");
}

static void put_end(connection *c) {
    char event[1024];
    int length = sprintf(
        event,
        "data: {\"object\":\"chat.completion.chunk\"," ANSWER_HEAD
        "\"choices\":[],\"usage\":{\"prompt_tokens\":219,\"completion_tokens\":%ld,"
        "\"total_tokens\":%ld," DETAILS "}}\n\ndata: [DONE]\n\n", c->chunks, c->chunks + 219);
    end_stream(c);
    put_event(c, event, length, "0\r\n\r\n");
}

static void put_what_is_due(connection *c, long until_ns) {
    while (c->is_streaming && !c->is_gone && c->due_ns <= until_ns) {
        if (c->sent < c->chunks) put_content(c);
        if (c->sent == c->chunks) put_end(c);
        c->due_ns += c->gap_ns;
    }
    if (c->is_gone && c->is_streaming) end_stream(c);
}

static long number_in(const char *body, const char *field, long otherwise) {
    const char *found = strstr(body, field);
    return found ? atol(found + strlen(field)) : otherwise;
}

static void respond(connection *c, const char *body) {
    if (!strstr(body, "\"stream\":true")) {
        put(c, answer, answer_length);
        return;
    }
    static const char head[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
        "Cache-Control: no-cache\r\n\r\n";
    c->chunks = number_in(body, "\"n_chunks\":", 200);
    c->gap_ns = number_in(body, "\"delay_us\":", 20000) * 1000;
    c->sent = 0;
    c->due_ns = now_ns();
    put(c, head, sizeof head - 1);
    start_stream(c);
    put_what_is_due(c, c->due_ns);
}

/* Answer the first whole request in the buffer; tell whether there was one. */
static int take_request(connection *c) {
    c->bytes[c->length] = 0;
    char *head_end = strstr(c->bytes, "\r\n\r\n");
    if (!head_end) return 0;
    char *declared = strcasestr(c->bytes, "content-length:");
    size_t body_length = declared && declared < head_end ? (size_t)atol(declared + 15) : 0;
    size_t whole = (size_t)(head_end + 4 - c->bytes) + body_length;
    if (c->length < whole) return 0;
    char after = c->bytes[whole];
    c->bytes[whole] = 0;
    respond(c, head_end + 4);
    c->bytes[whole] = after;
    c->length -= whole;
    memmove(c->bytes, c->bytes + whole, c->length);
    return 1;
}

static void receive(connection *c) {
    ssize_t n = recv(c->fd, c->bytes + c->length, BODY_ROOM - c->length, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        if (c->is_streaming) end_stream(c);
        close(c->fd);
        free(c);
        return;
    }
    c->length += (size_t)n;
    while (take_request(c)) continue;
}

static void admit(int listener) {
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        connection *c = calloc(1, sizeof *c);
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){EPOLLIN, {.ptr = c}});
    }
}

static void pass_time(void) {
    unsigned long expirations;
    if (read(timer, &expirations, sizeof expirations) < 0) return;
    long until_ns = now_ns();
    for (int i = stream_count - 1; i >= 0; i--)
        if (i < stream_count) put_what_is_due(streams[i], until_ns);
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (void *)&address, sizeof address) || listen(fd, 4096)) {
        perror("listen");
        exit(1);
    }
    return fd;
}

int main(int count, char **words) {
    if (count != 2) return 2;
    static char listener_mark, timer_mark;
    prepare_answer();
    int listener = listen_on(atoi(words[1]));
    epoll = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &(struct epoll_event){EPOLLIN, {.ptr = &listener_mark}});
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &(struct epoll_event){EPOLLIN, {.ptr = &timer_mark}});
    for (;;) {
        struct epoll_event events[512];
        int ready = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < ready; i++) {
            void *owner = events[i].data.ptr;
            if (owner == &listener_mark) admit(listener);
            else if (owner == &timer_mark) pass_time();
            else receive(owner);
        }
    }
}
