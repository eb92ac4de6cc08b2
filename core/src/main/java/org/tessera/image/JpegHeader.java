package org.tessera.image;

import java.nio.ByteBuffer;
import java.util.Arrays;

/** What stands before the scan of a JPEG picture that {@link BaselineJpeg} takes. */
final class JpegHeader {
  private static final int SOI = 0xffd8;
  private static final int DQT = 0xffdb;
  private static final int DHT = 0xffc4;
  private static final int SOF0 = 0xffc0;
  private static final int SOF1 = 0xffc1;
  private static final int DRI = 0xffdd;
  private static final int SOS = 0xffda;
  private static final int COMPONENTS = 3;
  private static final int BLOCK = 8;
  private static final int TABLES = 4;

  /** libjpeg upsamples narrower chroma in another way. */
  private static final int MIN_CHROMA_WIDTH = 3;

  /** The order in which a table's numbers are stored, {@link BaselineJpeg#NATURAL_ORDER}. */
  private final int[][] quantisation = new int[TABLES][];

  private final JpegScan.Codes[] dcTables = new JpegScan.Codes[TABLES];
  private final JpegScan.Codes[] acTables = new JpegScan.Codes[TABLES];
  private int width;
  private int height;
  private int restartInterval;
  private int scanStart;
  private final int[] ids = new int[COMPONENTS];
  private final int[] horizontal = new int[COMPONENTS];
  private final int[] vertical = new int[COMPONENTS];
  private final int[] quantisationOf = new int[COMPONENTS];
  private final int[][] steps = new int[COMPONENTS][];
  private final JpegScan.Codes[] dcCodes = new JpegScan.Codes[COMPONENTS];
  private final JpegScan.Codes[] acCodes = new JpegScan.Codes[COMPONENTS];

  private JpegHeader() {}

  /**
   * Reads up to the data of the first scan.
   *
   * @throws JpegUnusual where the picture is not one of {@link BaselineJpeg}'s
   */
  static JpegHeader read(ByteBuffer file) throws JpegUnusual {
    JpegHeader header = new JpegHeader();
    header.readSegments(file);
    return header;
  }

  int width() {
    return width;
  }

  int height() {
    return height;
  }

  /** MCUs after which the coding starts anew; 0 where it never does. */
  int restartInterval() {
    return restartInterval;
  }

  /** Where the data of the scan begins. */
  int scanStart() {
    return scanStart;
  }

  /** Blocks of a component in an MCU, side by side. */
  int horizontal(int component) {
    return horizontal[component];
  }

  /** Blocks of a component in an MCU, one above the other. */
  int vertical(int component) {
    return vertical[component];
  }

  int blocks(int component) {
    return horizontal[component] * vertical[component];
  }

  int mcuColumns() {
    return Math.ceilDiv(width, BLOCK * horizontal[0]);
  }

  int mcuRows() {
    return Math.ceilDiv(height, BLOCK * vertical[0]);
  }

  /** By what the coefficients of a component are multiplied, row by row. */
  int[] steps(int component) {
    return steps[component];
  }

  JpegScan.Codes dcCodes(int component) {
    return dcCodes[component];
  }

  JpegScan.Codes acCodes(int component) {
    return acCodes[component];
  }

  private void readSegments(ByteBuffer in) throws JpegUnusual {
    check(in.remaining() >= 2 && (in.getShort() & 0xffff) == SOI);
    while (true) {
      check(in.remaining() >= 4);
      int marker = in.getShort() & 0xffff;
      int length = in.getShort() & 0xffff;
      check(length >= 2 && in.remaining() >= length - 2);
      ByteBuffer data = in.slice(in.position(), length - 2);
      in.position(in.position() + length - 2);
      switch (marker) {
        case DQT -> readQuantisation(data);
        case DHT -> readCodes(data);
        case SOF0, SOF1 -> readFrame(data);
        case DRI -> {
          check(data.remaining() == 2);
          restartInterval = data.getShort() & 0xffff;
        }
        case SOS -> {
          readScan(data);
          scanStart = in.position();
          return;
        }
        default -> throw new JpegUnusual();
      }
    }
  }

  private void readQuantisation(ByteBuffer data) throws JpegUnusual {
    while (data.hasRemaining()) {
      int kind = data.get() & 0xff;
      boolean wide = kind >> 4 == 1;
      check(kind >> 4 <= 1 && (kind & 0xf) < TABLES);
      check(data.remaining() >= (wide ? 128 : 64));
      int[] table = new int[BLOCK * BLOCK];
      for (int place : BaselineJpeg.NATURAL_ORDER) {
        table[place] = wide ? data.getShort() & 0xffff : data.get() & 0xff;
      }
      quantisation[kind & 0xf] = table;
    }
  }

  private void readCodes(ByteBuffer data) throws JpegUnusual {
    while (data.hasRemaining()) {
      check(data.remaining() >= 17);
      int kind = data.get() & 0xff;
      check(kind >> 4 <= 1 && (kind & 0xf) < TABLES);
      int[] counts = new int[16];
      for (int i = 0; i < counts.length; i++) {
        counts[i] = data.get() & 0xff;
      }
      byte[] symbols = new byte[Arrays.stream(counts).sum()];
      check(symbols.length <= 256 && data.remaining() >= symbols.length);
      data.get(symbols);
      (kind >> 4 == 0 ? dcTables : acTables)[kind & 0xf] = new JpegScan.Codes(counts, symbols);
    }
  }

  private void readFrame(ByteBuffer data) throws JpegUnusual {
    check(width == 0 && data.remaining() == 6 + 3 * COMPONENTS);
    check(data.get() == 8);
    height = data.getShort() & 0xffff;
    width = data.getShort() & 0xffff;
    check(data.get() == COMPONENTS && width > 0 && height > 0);
    for (int c = 0; c < COMPONENTS; c++) {
      ids[c] = data.get() & 0xff;
      int sampling = data.get() & 0xff;
      horizontal[c] = sampling >> 4;
      vertical[c] = sampling & 0xf;
      quantisationOf[c] = data.get() & 0xff;
      check(quantisationOf[c] < TABLES);
      check(c == 0 || sampling == 0x11);
    }
    int luma = horizontal[0] << 4 | vertical[0];
    check(luma == 0x11 || luma == 0x21 || luma == 0x22);
    check(luma == 0x11 || Math.ceilDiv(width, 2) >= MIN_CHROMA_WIDTH);
  }

  private void readScan(ByteBuffer data) throws JpegUnusual {
    check(width > 0 && data.remaining() == 4 + 2 * COMPONENTS && data.get() == COMPONENTS);
    for (int c = 0; c < COMPONENTS; c++) {
      check((data.get() & 0xff) == ids[c]);
      int tables = data.get() & 0xff;
      check(tables >> 4 < TABLES && (tables & 0xf) < TABLES);
      dcCodes[c] = dcTables[tables >> 4];
      acCodes[c] = acTables[tables & 0xf];
      steps[c] = quantisation[quantisationOf[c]];
      check(dcCodes[c] != null && acCodes[c] != null && steps[c] != null);
    }
    check(data.get() == 0 && data.get() == 63 && data.get() == 0);
  }

  private static void check(boolean usual) throws JpegUnusual {
    if (!usual) {
      throw new JpegUnusual();
    }
  }
}
