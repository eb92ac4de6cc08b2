package org.tessera.image;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;

/**
 * The JPEG pictures that cameras and libraries write by default, on all cores: baseline, three
 * components in one scan, chroma as large as luma or halved in width or in both directions. While
 * one thread decodes Huffman codes others invert the DCT behind it. The samples are those of
 * libjpeg with its accurate integer IDCT and smooth chroma, byte for byte.
 *
 * <p>Whatever is otherwise in any respect, damage included, is left to the platform's decoder.
 */
final class BaselineJpeg {
  private static final int COMPONENTS = 3;
  private static final int BLOCK = 8;
  private static final int COEFFICIENTS = PixelKernels.BLOCK;

  /** Rows of MCUs that go to another thread at a time. */
  private static final int BATCH_ROWS = 2;

  /** Rows of pixels that a thread upsamples at a time. */
  private static final int PIECE_ROWS = 32;

  /** Where the coefficients of a block belong, in the order in which they are coded. */
  static final int[] NATURAL_ORDER = {
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63
  };

  private static final VarHandle FOUR_SAMPLES =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

  private final PixelKernels kernels = PixelKernels.best();
  private final JpegHeader header;
  private final JpegScan scan;
  private final int mcuColumns;
  private final int mcuRows;

  /** Of each component all samples, whole blocks, [mcuRows * v * 8][mcuColumns * h * 8]. */
  private final byte[][] planes = new byte[COMPONENTS][];

  private BaselineJpeg(JpegHeader header, JpegScan scan) {
    this.header = header;
    this.scan = scan;
    mcuColumns = header.mcuColumns();
    mcuRows = header.mcuRows();
    for (int c = 0; c < COMPONENTS; c++) {
      planes[c] = new byte[Math.multiplyExact(stride(c), mcuRows * header.vertical(c) * BLOCK)];
    }
  }

  /**
   * The pixels of a picture, three bytes for each.
   *
   * @param file from its first marker on, its size within the limits
   * @param isYcc whether its components are converted to red, green and blue; else they are these
   * @return empty where the platform's decoder must look at it
   */
  static Optional<byte[]> rgb(byte[] file, boolean isYcc) {
    try {
      JpegHeader header = JpegHeader.read(ByteBuffer.wrap(file));
      int mcus = header.mcuColumns() * header.mcuRows();
      int interval = header.restartInterval() == 0 ? mcus : header.restartInterval();
      JpegScan scan = JpegScan.of(file, header.scanStart(), Math.ceilDiv(mcus, interval));
      BaselineJpeg picture = new BaselineJpeg(header, scan);
      picture.decode(interval);
      return Optional.of(picture.pixels(isYcc));
    } catch (JpegUnusual e) {
      return Optional.empty();
    }
  }

  private int stride(int component) {
    return mcuColumns * header.horizontal(component) * BLOCK;
  }

  /** Fills the planes. */
  private void decode(int interval) throws JpegUnusual {
    List<CompletableFuture<Void>> inversions = new ArrayList<>();
    try {
      int[] lastDc = new int[COMPONENTS];
      long position = 0;
      int mcu = 0;
      for (int row = 0; row < mcuRows; row += BATCH_ROWS) {
        int firstRow = row;
        int rows = Math.min(BATCH_ROWS, mcuRows - row);
        short[][] coefficients = coefficients(rows);
        for (int i = 0; i < rows * mcuColumns; i++, mcu++) {
          if (mcu % interval == 0) {
            position = scan.begin(mcu / interval);
            lastDc = new int[COMPONENTS];
          }
          for (int c = 0; c < COMPONENTS; c++) {
            for (int b = i * header.blocks(c); b < (i + 1) * header.blocks(c); b++) {
              position = block(position, c, lastDc, coefficients[c], firstOf(b));
            }
          }
          boolean last = (mcu + 1) % interval == 0 || mcu + 1 == mcuColumns * mcuRows;
          scan.check(mcu / interval, position, last);
        }
        inversions.add(CompletableFuture.runAsync(() -> invert(firstRow, rows, coefficients)));
      }
    } finally {
      inversions.forEach(CompletableFuture::join);
    }
  }

  /** Room for rows of MCUs, by component: blocks side by side in the kernels' lanes. */
  private short[][] coefficients(int rows) {
    short[][] coefficients = new short[COMPONENTS][];
    for (int c = 0; c < COMPONENTS; c++) {
      int groups = Math.ceilDiv(rows * mcuColumns * header.blocks(c), kernels.lanes());
      coefficients[c] = new short[groups * kernels.lanes() * COEFFICIENTS];
    }
    return coefficients;
  }

  /** Where the first coefficient of a block lies; the others follow at distances of the lanes. */
  private int firstOf(int block) {
    int lanes = kernels.lanes();
    return block / lanes * lanes * COEFFICIENTS + block % lanes;
  }

  /** Reads one block; returns the bit behind it. */
  private long block(long start, int component, int[] lastDc, short[] out, int at)
      throws JpegUnusual {
    JpegScan.Codes dcCodes = header.dcCodes(component);
    JpegScan.Codes acCodes = header.acCodes(component);
    int lanes = kernels.lanes();
    long position = start;
    long window = scan.window(position);
    int code = dcCodes.lookUp(window);
    int bits = code & 0xff;
    if (bits > 15) {
      throw new JpegUnusual();
    }
    lastDc[component] += extended(window << (code >> 8), bits);
    position += (code >> 8) + bits;
    out[at] = (short) lastDc[component];
    for (int k = 1; k < COEFFICIENTS; k++) {
      window = scan.window(position);
      code = acCodes.lookUp(window);
      bits = code & 0xf;
      int run = code >> 4 & 0xf;
      position += (code >> 8) + bits;
      if (bits == 0) {
        if (run != 15) {
          break;
        }
        k += 15;
        continue;
      }
      k += run;
      if (k >= COEFFICIENTS) {
        throw new JpegUnusual();
      }
      out[at + NATURAL_ORDER[k] * lanes] = (short) extended(window << (code >> 8), bits);
    }
    return position;
  }

  /** The number that the first bits of a window stand for: negative where it begins with 0. */
  private static int extended(long window, int bits) {
    if (bits == 0) {
      return 0;
    }
    int value = (int) (window >>> Long.SIZE - bits);
    return window < 0 ? value : value - (1 << bits) + 1;
  }

  private void invert(int firstRow, int rows, short[][] coefficients) {
    int lanes = kernels.lanes();
    int[] spare = new int[COEFFICIENTS * lanes];
    int[] samples = new int[COEFFICIENTS / Integer.BYTES * lanes];
    for (int c = 0; c < COMPONENTS; c++) {
      int count = rows * mcuColumns * header.blocks(c);
      for (int block = 0; block < count; block += lanes) {
        kernels.invert(coefficients[c], block * COEFFICIENTS, header.steps(c), spare, samples);
        for (int lane = 0; lane < Math.min(lanes, count - block); lane++) {
          place(samples, lane, c, firstRow, block + lane);
        }
      }
    }
  }

  /** Puts the samples of a lane where their block belongs. */
  private void place(int[] samples, int lane, int component, int firstRow, int block) {
    int lanes = kernels.lanes();
    int h = header.horizontal(component);
    int mcu = block / header.blocks(component);
    int inMcu = block % header.blocks(component);
    int row = (firstRow + mcu / mcuColumns) * header.vertical(component) + inMcu / h;
    int column = mcu % mcuColumns * h + inMcu % h;
    int stride = stride(component);
    byte[] plane = planes[component];
    int at = row * BLOCK * stride + column * BLOCK;
    for (int i = lane; i < samples.length; i += 2 * lanes, at += stride) {
      FOUR_SAMPLES.set(plane, at, samples[i]);
      FOUR_SAMPLES.set(plane, at + Integer.BYTES, samples[i + lanes]);
    }
  }

  private byte[] pixels(boolean isYcc) {
    int width = header.width();
    byte[] pixels = new byte[Math.multiplyExact(width * COMPONENTS, header.height())];
    IntStream.range(0, Math.ceilDiv(header.height(), PIECE_ROWS))
        .parallel()
        .forEach(piece -> {
          int end = Math.min(header.height(), (piece + 1) * PIECE_ROWS);
          int[] spare = new int[width + 2];
          byte[][] wide = new byte[COMPONENTS][2 * Math.ceilDiv(width, 2)];
          for (int y = piece * PIECE_ROWS; y < end; y++) {
            upsample(y, spare, wide);
            int out = y * width * COMPONENTS;
            if (isYcc) {
              kernels.yccToRgb(wide[0], wide[1], wide[2], width, spare, pixels, out);
            } else {
              for (int x = 0; x < width; x++) {
                for (int c = 0; c < COMPONENTS; c++) {
                  pixels[out++] = wide[c][x];
                }
              }
            }
          }
        });
    return pixels;
  }

  /** The samples of a row of pixels, by component. */
  private void upsample(int y, int[] sums, byte[][] out) {
    int chromaWidth = Math.ceilDiv(header.width(), header.horizontal(0));
    int lastRow = Math.ceilDiv(header.height(), header.vertical(0)) - 1;
    System.arraycopy(planes[0], y * stride(0), out[0], 0, header.width());
    for (int c = 1; c < COMPONENTS; c++) {
      byte[] plane = planes[c];
      int stride = stride(c);
      if (header.vertical(0) == 2) {
        int near = y / 2;
        int far = Math.clamp(y % 2 == 0 ? near - 1 : near + 1, 0, lastRow);
        for (int x = 0; x < chromaWidth; x++) {
          int value = plane[near * stride + x] & 0xff;
          sums[x + 1] = 3 * value + (plane[far * stride + x] & 0xff);
        }
        repeatEnds(sums, chromaWidth);
        kernels.widen(sums, chromaWidth, 4, 8, 7, out[c]);
      } else if (header.horizontal(0) == 2) {
        for (int x = 0; x < chromaWidth; x++) {
          sums[x + 1] = plane[y * stride + x] & 0xff;
        }
        repeatEnds(sums, chromaWidth);
        kernels.widen(sums, chromaWidth, 2, 1, 2, out[c]);
      } else {
        System.arraycopy(plane, y * stride, out[c], 0, chromaWidth);
      }
    }
  }

  private static void repeatEnds(int[] sums, int count) {
    sums[0] = sums[1];
    sums[count + 1] = sums[count];
  }
}
