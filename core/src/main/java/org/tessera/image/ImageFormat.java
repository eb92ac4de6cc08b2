package org.tessera.image;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;

/** The formats that are decoded, told apart by how a file begins and never by its name. */
enum ImageFormat {
  JPEG("JPEG", 0, "\u00ff\u00d8\u00ff"),
  PNG("PNG", 0, "\u0089PNG\r\n\u001a\n"),
  WEBP("WebP", 8, "WEBP"),
  GIF("GIF", 0, "GIF8"),
  BMP("BMP", 0, "BM"),
  TIFF_LITTLE_ENDIAN("TIFF", 0, "II*\0"),
  TIFF_BIG_ENDIAN("TIFF", 0, "MM\0*");

  private final String label;
  private final int offset;
  private final byte[] signature;

  ImageFormat(String label, int offset, String signature) {
    this.label = label;
    this.offset = offset;
    this.signature = signature.getBytes(StandardCharsets.ISO_8859_1);
  }

  /** As people write it. */
  String label() {
    return label;
  }

  /** The format of a file that begins with these bytes; absent where it is none of these. */
  static Optional<ImageFormat> of(byte[] bytes) {
    return Arrays.stream(values()).filter(format -> format.matches(bytes)).findFirst();
  }

  private boolean matches(byte[] bytes) {
    int end = offset + signature.length;
    return bytes.length >= end && Arrays.equals(bytes, offset, end, signature, 0, signature.length);
  }
}
