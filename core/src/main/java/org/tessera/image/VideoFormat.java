package org.tessera.image;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.tessera.error.ImageException;

/**
 * The containers that are handed to ffmpeg, told apart by how a file begins. Their readers are
 * named to ffmpeg, since those that it may choose itself include playlists, which open other files.
 */
enum VideoFormat {
  MP4("mov", 4, "ftyp"),
  MATROSKA("matroska", 0, "\u001a\u0045\u00df\u00a3"),
  AVI("avi", 8, "AVI ");

  private final String demuxer;
  private final int offset;
  private final byte[] signature;

  VideoFormat(String demuxer, int offset, String signature) {
    this.demuxer = demuxer;
    this.offset = offset;
    this.signature = signature.getBytes(StandardCharsets.ISO_8859_1);
  }

  /** What ffmpeg calls its reader. */
  String demuxer() {
    return demuxer;
  }

  static VideoFormat of(String name, byte[] start) {
    return Arrays.stream(values())
        .filter(format -> format.matches(start))
        .findFirst()
        .orElseThrow(() ->
            new ImageException(name + ": not a video in GIF, MP4, MOV, WebM, MKV or AVI format"));
  }

  private boolean matches(byte[] start) {
    int end = offset + signature.length;
    return start.length >= end && Arrays.equals(start, offset, end, signature, 0, signature.length);
  }
}
