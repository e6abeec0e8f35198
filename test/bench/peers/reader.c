/* The lower bound: a WebSocket client in C that puts each message into an envelope, and checks nothing.
 *
 *     reader <url> <file> <subscribe command>
 *
 * It has no TLS, no fragments, no pings, and no handling of errors.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (256 * 1024)

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void write_all(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t done = write(fd, data, size);
        if (done < 0 && errno != EINTR)
            fail("write");
        if (done > 0)
            data += done, size -= done;
    }
}

static int open_connection(const char *url, const char *command) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64], request[4096], answer[4096];
    int port, sock = socket(AF_INET, SOCK_STREAM, 0);
    size_t length = strlen(command), got = 0;

    if (sscanf(url, "ws://%63[0-9.]:%d", host, &port) != 2 || !inet_aton(host, &address.sin_addr))
        exit(64);
    address.sin_port = htons(port);
    if (connect(sock, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    int size = snprintf(request, sizeof request,
                        "GET / HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                        host, port);
    write_all(sock, request, size);
    while (got < 4 || memcmp(answer + got - 4, "\r\n\r\n", 4))
        if (got == sizeof answer || read(sock, answer + got++, 1) != 1)
            fail("handshake");
    /* A mask of zeros leaves the text as it is. */
    char head[8] = {(char)0x81, (char)(0x80 | 126), (char)(length >> 8), (char)length, 0, 0, 0, 0};
    write_all(sock, head, sizeof head);
    write_all(sock, command, length);
    return sock;
}

static size_t make_prefix(char *prefix, size_t size) {
    struct timespec now;
    struct tm utc;
    char second[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", &utc);
    return snprintf(prefix, size, "{\"ts\":\"%s.%06ldZ\",\"feed\":\"bench\",\"data\":", second, now.tv_nsec / 1000);
}

int main(int argc, char **argv) {
    size_t room = BUFFER_BYTES, filled = 0;
    char prefix[128], *buffer = malloc(room), *lines = malloc(8 * room);

    if (argc != 4)
        return 64;
    int file = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (file < 0)
        fail(argv[2]);
    int sock = open_connection(argv[1], argv[3]);
    for (;;) {
        ssize_t got = recv(sock, buffer + filled, room - filled, 0);
        if (got <= 0)
            return 0;
        filled += got;
        size_t prefix_size = make_prefix(prefix, sizeof prefix), out = 0;
        char *at = buffer, *end = buffer + filled;
        while (end - at >= 2) {
            const unsigned char *head = (unsigned char *)at;
            uint64_t length = head[1], extended = length == 127 ? 8 : length == 126 ? 2 : 0;
            if (head[0] == 0x88) {
                write_all(file, lines, out);
                return 0;
            }
            if ((size_t)(end - at) < 2 + extended)
                break;
            if (extended) {
                length = 0;
                for (uint64_t i = 0; i < extended; ++i)
                    length = length << 8 | head[2 + i];
            }
            if ((uint64_t)(end - at) < 2 + extended + length)
                break;
            char *payload = at + 2 + extended;
            at = payload + length;
            if (length && payload[length - 1] == '\n')
                --length;
            memcpy(lines + out, prefix, prefix_size);
            memcpy(lines + out + prefix_size, payload, length);
            out += prefix_size + length;
            lines[out++] = '}';
            lines[out++] = '\n';
        }
        write_all(file, lines, out);
        filled = end - at;
        memmove(buffer, at, filled);
    }
}
