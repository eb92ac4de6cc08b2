package org.tessera.image;

import javax.imageio.stream.ImageInputStreamImpl;

/**
 * A file in memory for an {@code ImageReader}: no cache, and it knows whether the end was missed.
 */
final class MemoryImageInput extends ImageInputStreamImpl {
  private final byte[] bytes;
  private boolean overrun;

  MemoryImageInput(byte[] bytes) {
    this.bytes = bytes;
  }

  /** Whether a decoder asked for more than there is, as it does where a file was cut off. */
  boolean overrun() {
    return overrun;
  }

  @Override
  public int read() {
    bitOffset = 0;
    if (streamPos >= bytes.length) {
      overrun = true;
      return -1;
    }
    return bytes[(int) streamPos++] & 0xff;
  }

  @Override
  public int read(byte[] target, int offset, int length) {
    bitOffset = 0;
    if (length == 0) {
      return 0;
    }
    if (streamPos >= bytes.length) {
      overrun = true;
      return -1;
    }
    int count = (int) Math.min(length, bytes.length - streamPos);
    System.arraycopy(bytes, (int) streamPos, target, offset, count);
    streamPos += count;
    return count;
  }

  @Override
  public long length() {
    return bytes.length;
  }
}
