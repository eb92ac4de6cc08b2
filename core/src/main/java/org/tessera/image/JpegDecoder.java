package org.tessera.image;

import java.awt.image.DataBufferByte;
import java.awt.image.Raster;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Optional;
import org.tessera.api.Image;
import org.tessera.error.ImageException;

/**
 * JPEG: baseline and progressive, grey, YCbCr, RGB, CMYK and YCCK. The platform's libjpeg decodes
 * the samples (accurate integer IDCT, smooth chroma); which colours they mean is decided and
 * computed here, as libjpeg-turbo and Pillow do it.
 */
final class JpegDecoder {
  private static final int SOI = 0xd8;
  private static final int SOS = 0xda;
  private static final int APP0 = 0xe0;
  private static final int APP1 = 0xe1;
  private static final int APP14 = 0xee;
  private static final int APP15 = 0xef;
  private static final int COM = 0xfe;
  private static final byte[] JFIF_ID = {'J', 'F', 'I', 'F', 0};
  private static final byte[] EXIF_ID = {'E', 'x', 'i', 'f', 0, 0};
  private static final byte[] ADOBE_ID = {'A', 'd', 'o', 'b', 'e'};

  /** Each scan of a progressive picture visits all of it; real ones have about ten. */
  private static final int MAX_SCANS = 100;

  private static final long MAX_SCANNED_PIXELS = 2_000_000_000;

  private final String name;
  private final byte[] bytes;
  private final ImageLimits limits;
  private final ByteArrayOutputStream picture;
  private int[] componentIds = {};
  private int[] horizontalSampling = {};
  private int[] verticalSampling = {};
  private boolean jfif;
  private int maxScans;
  private int adobeTransform = -1;
  private Optional<byte[]> exif = Optional.empty();

  private JpegDecoder(String name, byte[] bytes, ImageLimits limits) {
    this.name = name;
    this.bytes = bytes;
    this.limits = limits;
    this.picture = new ByteArrayOutputStream(bytes.length);
  }

  static Decoded decode(String name, byte[] bytes, ImageLimits limits) throws IOException {
    JpegDecoder decoder = new JpegDecoder(name, bytes, limits);
    decoder.readSegments();
    Raster raster = ImageReaders.readRaster("jpeg", decoder.picture.toByteArray());
    return new Decoded(decoder.toRgb(raster), decoder.exif);
  }

  /** Walks the segments before the first scan and keeps all but applications' data and comments. */
  private void readSegments() throws IOException {
    ByteBuffer in = ByteBuffer.wrap(bytes).position(2);
    picture.write(0xff);
    picture.write(SOI);
    while (true) {
      if (in.get() != (byte) 0xff) {
        throw new IOException("no marker where one belongs");
      }
      int marker = in.get() & 0xff;
      while (marker == 0xff) {
        marker = in.get() & 0xff;
      }
      int start = in.position();
      int length = in.getShort() & 0xffff;
      ByteBuffer data = in.slice(start + 2, length - 2);
      in.position(start + length);
      readSegment(marker, data);
      if ((marker < APP0 || marker > APP15) && marker != COM) {
        picture.write(0xff);
        picture.write(marker);
        picture.write(bytes, start, length);
      }
      if (marker == SOS) {
        break;
      }
    }
    if (componentIds.length == 0) {
      throw new IOException("a scan before the frame's header");
    }
    picture.write(bytes, in.position(), in.remaining());
    checkScans(in.position());
  }

  private void readSegment(int marker, ByteBuffer data) throws IOException {
    switch (marker) {
      case 0xc0, 0xc1, 0xc2 -> readFrameHeader(data);
      case 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf ->
          throw unsupported("is lossless, hierarchical or arithmetic-coded");
      case APP0 -> jfif |= startsWith(data, JFIF_ID);
      case APP1 -> {
        if (exif.isEmpty() && startsWith(data, EXIF_ID)) {
          byte[] block = new byte[data.remaining() - EXIF_ID.length];
          data.get(EXIF_ID.length, block);
          exif = Optional.of(block);
        }
      }
      case APP14 -> {
        if (data.remaining() >= 12 && startsWith(data, ADOBE_ID)) {
          adobeTransform = data.get(11) & 0xff;
        }
      }
      default -> {}
    }
  }

  private void readFrameHeader(ByteBuffer data) throws IOException {
    if (componentIds.length != 0) {
      throw new IOException("a second frame header");
    }
    int precision = data.get();
    int height = data.getShort() & 0xffff;
    int width = data.getShort() & 0xffff;
    int components = data.get() & 0xff;
    if (precision != 8) {
      throw unsupported("has " + precision + " bits a sample");
    }
    if (components != 1 && components != 3 && components != 4) {
      throw unsupported("has " + components + " components");
    }
    maxScans =
        (int) Math.min(MAX_SCANS, MAX_SCANNED_PIXELS / limits.check(name, width, height).pixels());
    componentIds = new int[components];
    horizontalSampling = new int[components];
    verticalSampling = new int[components];
    for (int i = 0; i < components; i++) {
      componentIds[i] = data.get() & 0xff;
      int sampling = data.get() & 0xff;
      horizontalSampling[i] = sampling >> 4;
      verticalSampling[i] = sampling & 0xf;
      data.get(); // The quantisation table.
    }
  }

  private ImageException unsupported(String what) {
    return new ImageException(
        "%s: this JPEG picture %s; only baseline and progressive ones of 8 bits are read"
            .formatted(name, what));
  }

  private static boolean startsWith(ByteBuffer data, byte[] prefix) {
    return data.remaining() >= prefix.length
        && data.slice(0, prefix.length).equals(ByteBuffer.wrap(prefix));
  }

  private void checkScans(int from) throws IOException {
    int scans = 1;
    for (int i = from; i + 1 < bytes.length; i++) {
      if (bytes[i] == (byte) 0xff && bytes[i + 1] == (byte) SOS && ++scans > maxScans) {
        throw new IOException("more than " + maxScans + " scans");
      }
    }
  }

  private Image.Rgb toRgb(Raster raster) {
    int width = raster.getWidth();
    int height = raster.getHeight();
    byte[] samples = ((DataBufferByte) raster.getDataBuffer()).getData();
    for (int i = 0; i < componentIds.length; i++) {
      if (halfHeightOnly(i)) {
        JpegColours.smoothRows(samples, width, height, componentIds.length, i);
      }
    }
    byte[] rgb =
        switch (componentIds.length) {
          case 1 -> JpegColours.ofGrey(samples);
          case 3 -> isYcc() ? JpegColours.ofYcc(samples) : samples;
          default -> JpegColours.ofInvertedCmyk(isYcck() ? JpegColours.ofYcck(samples) : samples);
        };
    return new Image.Rgb(name, width, height, rgb);
  }

  /**
   * Sampled at half the rows and all the columns, which libjpeg 6b repeats and newer ones smooth.
   */
  private boolean halfHeightOnly(int component) {
    int maxHorizontal = Arrays.stream(horizontalSampling).max().orElseThrow();
    int maxVertical = Arrays.stream(verticalSampling).max().orElseThrow();
    return horizontalSampling[component] == maxHorizontal
        && verticalSampling[component] * 2 == maxVertical;
  }

  private boolean isYcc() {
    if (jfif) {
      return true;
    }
    if (adobeTransform >= 0) {
      return adobeTransform != 0;
    }
    return !Arrays.equals(componentIds, new int[] {'R', 'G', 'B'});
  }

  private boolean isYcck() {
    return adobeTransform > 0;
  }
}
