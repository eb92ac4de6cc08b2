package org.tessera.server;

import java.time.Duration;

/**
 * What one client may cost. Whatever is over a limit is refused before it is computed.
 *
 * @param maxConnections open connections
 * @param maxHeaderBytes all headers of a request
 * @param maxBodyBytes body of a request, and of a remote picture
 * @param maxBodyMemoryBytes bodies of all requests together while they are read
 * @param maxJsonDepth nesting of objects and arrays
 * @param maxPictures pictures and video frames a request
 * @param maxVideoFrames frames of one list of video frames
 * @param maxPicturePixels width times height of one picture
 * @param maxPictureMemoryBytes decoded pictures of all requests together
 * @param maxSliceNums highest {@code max_slice_nums} that a request may ask for
 * @param maxChoices highest {@code n}
 * @param maxStops stop strings a request
 * @param maxStopChars characters of one stop string
 * @param maxSchemaBytes JSON schema or regular expression of a response format
 * @param headerTimeout from the first byte of a request to the last of its headers, and how long an
 *     idle connection is kept
 * @param bodyTimeout for the whole body
 * @param writeTimeout for a client to take what is written
 * @param decodeTimeout for decoding the pictures of a request
 * @param fetchTimeout for one remote picture, redirects included
 * @param pingInterval silence of a stream after which a comment is sent
 * @param drainTimeout for running answers when the server is closed
 */
public record ServerLimits(
    int maxConnections,
    int maxHeaderBytes,
    int maxBodyBytes,
    long maxBodyMemoryBytes,
    int maxJsonDepth,
    int maxPictures,
    int maxVideoFrames,
    long maxPicturePixels,
    long maxPictureMemoryBytes,
    int maxSliceNums,
    int maxChoices,
    int maxStops,
    int maxStopChars,
    int maxSchemaBytes,
    Duration headerTimeout,
    Duration bodyTimeout,
    Duration writeTimeout,
    Duration decodeTimeout,
    Duration fetchTimeout,
    Duration pingInterval,
    Duration drainTimeout) {
  private static final int MB = 1 << 20;

  /** For one machine; memory in proportion to the largest heap that Java may use. */
  public static ServerLimits defaults() {
    long heap = Runtime.getRuntime().maxMemory();
    return new ServerLimits(
        512,
        16 << 10,
        64 * MB,
        Math.max(256L * MB, heap / 8),
        64,
        128,
        64,
        32_000_000,
        Math.max(512L * MB, heap / 4),
        16,
        8,
        16,
        256,
        64 << 10,
        Duration.ofSeconds(30),
        Duration.ofSeconds(120),
        Duration.ofSeconds(30),
        Duration.ofSeconds(30),
        Duration.ofSeconds(10),
        Duration.ofSeconds(15),
        Duration.ofSeconds(30));
  }
}
