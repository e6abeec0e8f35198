/* The sending half of source.py, for rates that Python does not reach. See there for the lines that control it.
 *
 *     source <socket> <frames> <sids> <distance> <bursts> <log>
 *
 * The arguments: two open descriptors, of the connection and of a file with one turn of frames; the number of sids; the
 * ns between two bursts, or 0 for flat out; the sizes of the bursts, separated by commas; the file for the watch's log.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PIECE_BYTES (128 * 1024)
#define FIRST_SEQ 1000000000ULL
#define SEQ_DIGITS 10
#define NS_DIGITS 27 /* "ts", or "time" where "ts" is a number: the time of sending in ns */
#define MS_DIGITS 13 /* "ts_ms", the same in ms */
#define MOST_BURSTS 16

struct frame {
    char *start, *end, *seq, *ns, *ms; /* The last two are NULL when the message has no time. */
};

static int64_t read_clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* For distances. */
static int64_t now_ns(void) {
    return read_clock_ns(CLOCK_MONOTONIC);
}

/* For what is compared with the times that a collector writes. */
static int64_t wall_ns(void) {
    return read_clock_ns(CLOCK_REALTIME);
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void put_digits(char *field, int width, uint64_t value) {
    while (width--) {
        field[width] = '0' + value % 10;
        value /= 10;
    }
}

static void send_all(int sock, const char *data, size_t size) {
    while (size) {
        ssize_t sent = send(sock, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            fail("send");
        if (sent > 0)
            data += sent, size -= sent;
    }
}

/* Read the next command from standard input, byte by byte. */
static void read_line(char *line, size_t size) {
    size_t length = 0;
    char byte;
    while (read(0, &byte, 1) == 1) {
        if (byte == '\n') {
            line[length] = 0;
            return;
        }
        if (length + 1 < size)
            line[length++] = byte;
    }
    fprintf(stderr, "the standard input has ended\n");
    exit(1);
}

static int has_command(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    return poll(&input, 1, 0) != 0;
}

/* The watched file: pairs of ns and size, written to the log at the end. */
static int watched = -1;
static int64_t *seen, seen_size, seen_room, last_size;

static void look(void) {
    struct stat status;
    if (fstat(watched, &status) || status.st_size == last_size)
        return;
    if (seen_size + 2 > seen_room) {
        seen_room = seen_room ? 2 * seen_room : 1 << 20;
        if (!(seen = realloc(seen, seen_room * sizeof *seen)))
            fail("realloc");
    }
    seen[seen_size++] = wall_ns();
    seen[seen_size++] = last_size = status.st_size;
}

static void write_log(const char *path) {
    FILE *log = fopen(path, "wb");
    if (!log || fwrite(seen, sizeof *seen, seen_size, log) != (size_t)seen_size || fclose(log))
        fail(path);
}

/* Return the first byte after `name` in a payload; NULL when it does not have that. */
static char *find_after(char *payload, size_t length, const char *name) {
    char *found = memmem(payload, length, name, strlen(name));
    return found ? found + strlen(name) : NULL;
}

/* Find the frames of a turn, and in each frame the fields that change. */
static struct frame *find_frames(char *data, size_t size, size_t *count) {
    struct frame *frames = malloc((size / 8 + 1) * sizeof *frames);
    *count = 0;
    for (char *at = data; at < data + size; ++*count) {
        struct frame *frame = frames + *count;
        const unsigned char *head = (unsigned char *)at;
        uint64_t length = head[1], extended = length == 127 ? 8 : length == 126 ? 2 : 0;
        if (extended) {
            length = 0;
            for (uint64_t i = 0; i < extended; ++i)
                length = length << 8 | head[2 + i];
        }
        char *payload = at + 2 + extended;
        frame->start = at;
        frame->end = at = payload + length;
        if (!(frame->seq = find_after(payload, length, "\"seq\":")))
            fail("a frame without seq");
        if (!(frame->ns = find_after(payload, length, "\"ts\":\"")))
            frame->ns = find_after(payload, length, "\"time\":\"");
        frame->ms = find_after(payload, length, "\"ts_ms\":");
    }
    return frames;
}

static void send_flat_out(int sock, struct frame *frames, size_t count, uint64_t sids, uint64_t *sent) {
    while (!has_command()) {
        size_t first = *sent % count, next = first;
        do {
            put_digits(frames[next].seq, SEQ_DIGITS, FIRST_SEQ + (*sent)++ / sids);
            ++next;
        } while (next < count && frames[next].end - frames[first].start <= PIECE_BYTES);
        send_all(sock, frames[first].start, frames[next - 1].end - frames[first].start);
    }
}

static void wait_until(int64_t due) {
    if (watched >= 0) {
        while (now_ns() < due)
            look();
        return;
    }
    struct timespec until = {due / 1000000000LL, due % 1000000000LL};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

static void send_paced(int sock, struct frame *frames, size_t count, uint64_t sids, int64_t distance,
                       const int *bursts, int burst_count, uint64_t *sent) {
    int64_t due = now_ns();
    for (int turn = 0; !has_command(); turn = (turn + 1) % burst_count) {
        char piece[64 * 1024];
        size_t size = 0;
        wait_until(due);
        int64_t now = wall_ns();
        for (int i = 0; i < bursts[turn]; ++i) {
            struct frame *frame = frames + *sent % count;
            put_digits(frame->seq, SEQ_DIGITS, FIRST_SEQ + (*sent)++ / sids);
            if (frame->ns && frame->ms) {
                put_digits(frame->ns, NS_DIGITS, now);
                put_digits(frame->ms, MS_DIGITS, now / 1000000);
            }
            size_t length = frame->end - frame->start;
            if (size + length > sizeof piece) {
                send_all(sock, piece, size);
                size = 0;
            }
            if (length > sizeof piece) {
                send_all(sock, frame->start, length);
                continue;
            }
            memcpy(piece + size, frame->start, length);
            size += length;
        }
        send_all(sock, piece, size);
        due += distance;
    }
}

int main(int argc, char **argv) {
    char line[4096], rest[65536];
    int bursts[MOST_BURSTS], burst_count = 0;
    struct stat status;
    uint64_t sent = 0;
    size_t count;

    if (argc != 7)
        return 64;
    int sock = atoi(argv[1]), memory = atoi(argv[2]);
    uint64_t sids = strtoull(argv[3], NULL, 10);
    int64_t distance = strtoll(argv[4], NULL, 10);
    for (char *part = strtok(argv[5], ","); part && burst_count < MOST_BURSTS; part = strtok(NULL, ","))
        bursts[burst_count++] = atoi(part);
    if (fstat(memory, &status))
        fail("frames");
    char *data = malloc(status.st_size);
    if (!data || pread(memory, data, status.st_size, 0) != status.st_size)
        fail("frames");
    struct frame *frames = find_frames(data, status.st_size, &count);

    read_line(line, sizeof line);
    if (!strncmp(line, "go ", 3) && (watched = open(line + 3, O_RDONLY)) < 0)
        fail(line + 3);
    int64_t began = now_ns();
    if (distance)
        send_paced(sock, frames, count, sids, distance, bursts, burst_count, &sent);
    else
        send_flat_out(sock, frames, count, sids, &sent);
    read_line(line, sizeof line); /* stop */
    printf("sent %llu %lld %lld\n", (unsigned long long)sent, (long long)began, (long long)now_ns());
    fflush(stdout);
    if (watched >= 0) {
        while (!has_command())
            look();
        write_log(argv[6]);
    }
    read_line(line, sizeof line); /* close */
    send_all(sock, "\x88\x02\x03\xe8", 4);
    shutdown(sock, SHUT_WR);
    while (recv(sock, rest, sizeof rest, 0) > 0)
        ;
    return 0;
}
