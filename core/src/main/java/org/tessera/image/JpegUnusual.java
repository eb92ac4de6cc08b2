package org.tessera.image;

/** A JPEG file is not as {@link BaselineJpeg} takes it: the platform's decoder decides about it. */
final class JpegUnusual extends Exception {
  private static final long serialVersionUID = 1;

  JpegUnusual() {
    super(null, null, /* enableSuppression= */ false, /* writableStackTrace= */ false);
  }
}
