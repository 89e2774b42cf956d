/* A compressor of the LZ77 kind, as small as it gets: matches by a hash of four bytes. Prints its CPU time. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIZE = 1 << 20, BITS = 14 };
static uint8_t text[SIZE], packed[2 * SIZE], unpacked[SIZE];

static size_t compress(const uint8_t *in, size_t n, uint8_t *out) {
    static uint32_t last[1 << BITS];
    uint8_t *o = out;
    memset(last, 0, sizeof last);
    for (size_t i = 0; i < n;) {
        size_t length = 0, from = 0;
        if (i + 4 <= n) {
            uint32_t word;
            memcpy(&word, in + i, 4);
            uint32_t slot = word * 2654435761u >> (32 - BITS);
            from = last[slot];
            last[slot] = (uint32_t)i;
            while (from < i && i - from < 65536 && length < 255 && i + length < n && in[from + length] == in[i + length])
                length++;
        }
        if (length >= 4) {
            *o++ = (uint8_t)length;
            *o++ = (uint8_t)(i - from);
            *o++ = (uint8_t)((i - from) >> 8);
            i += length;
        } else {
            *o++ = 0;
            *o++ = in[i++];
        }
    }
    return (size_t)(o - out);
}

static size_t decompress(const uint8_t *in, size_t n, uint8_t *out) {
    size_t o = 0;
    for (size_t i = 0; i < n;) {
        size_t length = in[i++];
        if (length) {
            size_t back = in[i] | (size_t)in[i + 1] << 8;
            i += 2;
            for (; length; length--, o++)
                out[o] = out[o - back];
        } else {
            out[o++] = in[i++];
        }
    }
    return o;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 1;
    uint32_t state = 1;
    for (size_t i = 0; i < SIZE; i++) {
        state = state * 1664525u + 1013904223u;
        text[i] = i > 512 && state >> 24 < 200 ? text[i - 1 - (state >> 16) % 8] : (uint8_t)(state >> 20);
    }
    clock_t began = clock();
    size_t n = 0;
    for (int k = 0; k < rounds; k++) {
        n = compress(text, SIZE, packed);
        if (decompress(packed, n, unpacked) != SIZE || memcmp(text, unpacked, SIZE))
            return 1;
    }
    printf("packed=%zu seconds=%.6f\n", n, (double)(clock() - began) / CLOCKS_PER_SEC);
    return 0;
}
