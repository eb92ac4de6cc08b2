package org.tessera.image.webp;

import java.io.EOFException;
import java.io.IOException;
import java.util.Arrays;
import org.tessera.image.webp.Vp8LoopFilter.Strength;

/** The lossy codec of WebP: one key frame of VP8 (RFC 6386), in libwebp's arithmetic. */
public final class WebPLossy {
  private static final int HEADER_BYTES = 10;
  private static final int SEGMENTS = 4;
  private static final int MAX_QUANTISER = 127;

  /** Chroma's constant coefficients have no larger steps than this index's. */
  private static final int MAX_CHROMA_DC_QUANTISER = 117;

  private final int columns;
  private final int rows;
  private final Plane luma;
  private final Plane blue;
  private final Plane red;
  private final BoolDecoder header;
  private final BoolDecoder[] partitions;
  private final Vp8Residuals residuals;
  private final Vp8Residuals.Steps[] steps = new Vp8Residuals.Steps[SEGMENTS];

  /** By segment, then whether a macroblock is predicted in 4 x 4 blocks. */
  private final Strength[][] strengths = new Strength[SEGMENTS][2];

  private final boolean filtered;
  private final int skipProbability;

  private boolean segmented;
  private boolean segmentsMapped;
  private boolean segmentsAbsolute;
  private final int[] segmentQuantisers = new int[SEGMENTS];
  private final int[] segmentLevels = new int[SEGMENTS];
  private final int[] segmentProbabilities = {255, 255, 255};
  private boolean simpleFilter;

  /** Modes of the 4 x 4 blocks above and to the left of the macroblock in work. */
  private final int[] modesAbove;

  private final int[] modesLeft = new int[4];

  private WebPLossy(byte[] bytes, int start, int end, int width, int height) throws IOException {
    int tag =
        bytes[start] & 0xff | (bytes[start + 1] & 0xff) << 8 | (bytes[start + 2] & 0xff) << 16;
    boolean keyFrame = (tag & 1) == 0;
    int headerEnd = start + HEADER_BYTES + (tag >> 5);
    if (!keyFrame
        || (bytes[start + 3] & 0xff) != 0x9d
        || bytes[start + 4] != 0x01
        || bytes[start + 5] != 0x2a
        || headerEnd > end) {
      throw new IOException("not a key frame");
    }
    columns = (width + 15) / 16;
    rows = (height + 15) / 16;
    header = new BoolDecoder(bytes, start + HEADER_BYTES, headerEnd);
    header.readFlag(); // The colour space, of which there is one.
    header.readFlag(); // Whether clamping is needed; it does no harm.
    readSegments();
    filtered = readFilter();
    partitions = readPartitions(bytes, headerEnd, end);
    readQuantisers();
    header.readFlag(); // Whether later frames start from these probabilities.
    residuals = new Vp8Residuals(readTokenProbabilities(), columns);
    skipProbability = header.readFlag() ? header.readNumber(8) : -1;
    luma = new Plane(16 * columns, 16 * rows);
    blue = new Plane(8 * columns, 8 * rows);
    red = new Plane(8 * columns, 8 * rows);
    modesAbove = new int[4 * columns];
  }

  /**
   * Decodes a picture.
   *
   * @param start of the chunk's data, and {@code end} behind it
   * @param width and {@code height} as the chunk's header says, checked by the caller
   * @return RGB, three bytes a pixel
   * @throws IOException where the data are damaged
   */
  public static byte[] decode(byte[] bytes, int start, int end, int width, int height)
      throws IOException {
    WebPLossy decoder = new WebPLossy(bytes, start, end, width, height);
    decoder.reconstruct();
    return Vp8Colours.toRgb(decoder.luma, decoder.blue, decoder.red, width, height);
  }

  private void readSegments() throws EOFException {
    segmented = header.readFlag();
    if (!segmented) {
      return;
    }
    segmentsMapped = header.readFlag();
    if (header.readFlag()) {
      segmentsAbsolute = header.readFlag();
      for (int i = 0; i < SEGMENTS; i++) {
        segmentQuantisers[i] = header.readOptionalSigned(7);
      }
      for (int i = 0; i < SEGMENTS; i++) {
        segmentLevels[i] = header.readOptionalSigned(6);
      }
    }
    if (segmentsMapped) {
      for (int i = 0; i < segmentProbabilities.length; i++) {
        segmentProbabilities[i] = header.readFlag() ? header.readNumber(8) : 255;
      }
    }
  }

  private boolean readFilter() throws EOFException {
    simpleFilter = header.readFlag();
    int level = header.readNumber(6);
    int sharpness = header.readNumber(3);
    int keyFrameDelta = 0;
    int subblockDelta = 0;
    boolean adjusted = header.readFlag();
    if (adjusted && header.readFlag()) {
      // Eight deltas, of which a key frame needs the first of each four.
      keyFrameDelta = header.readOptionalSigned(6);
      for (int i = 1; i < 4; i++) {
        header.readOptionalSigned(6);
      }
      subblockDelta = header.readOptionalSigned(6);
      for (int i = 1; i < 4; i++) {
        header.readOptionalSigned(6);
      }
    }
    for (int i = 0; i < SEGMENTS; i++) {
      int base = level;
      if (segmented) {
        base = segmentLevels[i] + (segmentsAbsolute ? 0 : level);
      }
      strengths[i][0] = Strength.of(base + keyFrameDelta, sharpness, false);
      strengths[i][1] = Strength.of(base + keyFrameDelta + subblockDelta, sharpness, true);
    }
    return level != 0;
  }

  /** The parts that hold the coefficients; the sizes of all but the last come first. */
  private BoolDecoder[] readPartitions(byte[] bytes, int start, int end) throws IOException {
    BoolDecoder[] parts = new BoolDecoder[1 << header.readNumber(2)];
    int sizes = start;
    int position = start + 3 * (parts.length - 1);
    for (int i = 0; i < parts.length; i++, sizes += 3) {
      int partEnd = end;
      if (i < parts.length - 1) {
        partEnd =
            position
                + (bytes[sizes] & 0xff)
                + ((bytes[sizes + 1] & 0xff) << 8)
                + ((bytes[sizes + 2] & 0xff) << 16);
      }
      if (partEnd > end || position > end) {
        throw new IOException("a part ends behind its chunk");
      }
      parts[i] = new BoolDecoder(bytes, position, partEnd);
      position = partEnd;
    }
    return parts;
  }

  private void readQuantisers() throws EOFException {
    int base = header.readNumber(7);
    int lumaDc = header.readOptionalSigned(4);
    int dcDc = header.readOptionalSigned(4);
    int dcAc = header.readOptionalSigned(4);
    int chromaDc = header.readOptionalSigned(4);
    int chromaAc = header.readOptionalSigned(4);
    for (int i = 0; i < SEGMENTS; i++) {
      int q = base;
      if (segmented) {
        q = segmentQuantisers[i] + (segmentsAbsolute ? 0 : base);
      }
      steps[i] =
          new Vp8Residuals.Steps(
              Vp8Tables.dcStep(quantiser(q + lumaDc)),
              Vp8Tables.acStep(quantiser(q)),
              2 * Vp8Tables.dcStep(quantiser(q + dcDc)),
              Math.max(8, Vp8Tables.acStep(quantiser(q + dcAc)) * 155 / 100),
              Vp8Tables.dcStep(Math.clamp(q + chromaDc, 0, MAX_CHROMA_DC_QUANTISER)),
              Vp8Tables.acStep(quantiser(q + chromaAc)));
    }
  }

  private static int quantiser(int index) {
    return Math.clamp(index, 0, MAX_QUANTISER);
  }

  private int[] readTokenProbabilities() throws EOFException {
    int[] probabilities = Vp8Tables.defaultTokenProbabilities();
    for (int i = 0; i < probabilities.length; i++) {
      if (header.read(Vp8Tables.tokenUpdateProbability(i))) {
        probabilities[i] = header.readNumber(8);
      }
    }
    return probabilities;
  }

  private void reconstruct() throws IOException {
    Strength[] filters = new Strength[columns * rows];
    for (int row = 0; row < rows; row++) {
      Arrays.fill(modesLeft, Vp8Prediction.DC);
      residuals.startRow();
      for (int column = 0; column < columns; column++) {
        filters[row * columns + column] = reconstruct(column, row);
      }
    }
    if (!filtered) {
      return;
    }
    // Prediction sees samples before the filter, so that this waits for all of them.
    for (int i = 0; i < filters.length; i++) {
      int column = i % columns;
      int row = i / columns;
      if (simpleFilter) {
        Vp8LoopFilter.simple(luma, column, row, filters[i]);
      } else {
        Vp8LoopFilter.normal(luma, 16, column, row, filters[i]);
        Vp8LoopFilter.normal(blue, 8, column, row, filters[i]);
        Vp8LoopFilter.normal(red, 8, column, row, filters[i]);
      }
    }
  }

  /** Reconstructs a macroblock and returns how it will be filtered. */
  private Strength reconstruct(int column, int row) throws IOException {
    int segment = segmentsMapped ? readSegment() : 0;
    boolean skipped = skipProbability >= 0 && header.read(skipProbability);
    boolean subblocks = !header.read(145);
    int lumaMode = subblocks ? 0 : readLumaMode(column);
    int[] modes = subblocks ? readSubblockModes(column) : new int[0];
    int chromaMode = readChromaMode();
    boolean coefficients = false;
    if (skipped) {
      residuals.skip(column, subblocks);
    } else {
      BoolDecoder part = partitions[row & partitions.length - 1];
      coefficients = residuals.read(part, column, subblocks, steps[segment]);
    }
    if (subblocks) {
      reconstructSubblocks(column, row, modes);
    } else {
      Vp8Prediction.predictBlock(luma, 16 * column, 16 * row, 16, lumaMode);
      for (int block = 0; block < 16; block++) {
        int origin = luma.index(16 * column + block % 4 * 4, 16 * row + block / 4 * 4);
        residuals.add(block, luma, origin);
      }
    }
    reconstructChroma(blue, 16, column, row, chromaMode);
    reconstructChroma(red, 20, column, row, chromaMode);
    Strength strength = strengths[segment][subblocks ? 1 : 0];
    return strength.withInner(subblocks || coefficients);
  }

  private void reconstructChroma(Plane plane, int firstBlock, int column, int row, int mode) {
    Vp8Prediction.predictBlock(plane, 8 * column, 8 * row, 8, mode);
    for (int block = 0; block < 4; block++) {
      int origin = plane.index(8 * column + block % 2 * 4, 8 * row + block / 2 * 4);
      residuals.add(firstBlock + block, plane, origin);
    }
  }

  private void reconstructSubblocks(int column, int row, int[] modes) {
    int[] aboveMacroblock = new int[4];
    int above = luma.index(16 * column, 16 * row - 1);
    for (int i = 0; i < 4; i++) {
      // The last column has nothing to its right: above is repeated, or the border goes on.
      aboveMacroblock[i] =
          luma.at(row == 0 ? above : column == columns - 1 ? above + 15 : above + 16 + i);
    }
    int[] aboveRight = new int[4];
    for (int block = 0; block < 16; block++) {
      int origin = luma.index(16 * column + block % 4 * 4, 16 * row + block / 4 * 4);
      for (int i = 0; i < 4; i++) {
        // Blocks at the right edge all see the row above the macroblock.
        aboveRight[i] = block % 4 == 3 ? aboveMacroblock[i] : luma.at(origin - luma.stride + 4 + i);
      }
      Vp8Prediction.predictSubblock(luma, origin, modes[block], aboveRight);
      residuals.add(block, luma, origin);
    }
  }

  private int readSegment() throws EOFException {
    return header.read(segmentProbabilities[0])
        ? 2 + header.readBit(segmentProbabilities[2])
        : header.readBit(segmentProbabilities[1]);
  }

  private int readLumaMode(int column) throws EOFException {
    int mode;
    if (header.read(156)) {
      mode = header.read(128) ? Vp8Prediction.TRUE_MOTION : Vp8Prediction.HORIZONTAL;
    } else {
      mode = header.read(163) ? Vp8Prediction.VERTICAL : Vp8Prediction.DC;
    }
    Arrays.fill(modesLeft, mode);
    Arrays.fill(modesAbove, 4 * column, 4 * column + 4, mode);
    return mode;
  }

  private int readChromaMode() throws EOFException {
    if (!header.read(142)) {
      return Vp8Prediction.DC;
    }
    if (!header.read(114)) {
      return Vp8Prediction.VERTICAL;
    }
    return header.read(183) ? Vp8Prediction.TRUE_MOTION : Vp8Prediction.HORIZONTAL;
  }

  private int[] readSubblockModes(int column) throws EOFException {
    int[] modes = new int[16];
    for (int y = 0; y < 4; y++) {
      for (int x = 0; x < 4; x++) {
        int mode = readSubblockMode(modesAbove[4 * column + x], modesLeft[y]);
        modesAbove[4 * column + x] = mode;
        modesLeft[y] = mode;
        modes[4 * y + x] = mode;
      }
    }
    return modes;
  }

  private int readSubblockMode(int above, int left) throws EOFException {
    if (!readNode(above, left, 0)) {
      return Vp8Prediction.DC;
    }
    if (!readNode(above, left, 1)) {
      return Vp8Prediction.TRUE_MOTION;
    }
    if (!readNode(above, left, 2)) {
      return Vp8Prediction.VERTICAL;
    }
    if (!readNode(above, left, 3)) {
      if (!readNode(above, left, 4)) {
        return Vp8Prediction.HORIZONTAL;
      }
      return readNode(above, left, 5) ? Vp8Prediction.VERTICAL_RIGHT : Vp8Prediction.RIGHT_DOWN;
    }
    if (!readNode(above, left, 6)) {
      return Vp8Prediction.LEFT_DOWN;
    }
    if (!readNode(above, left, 7)) {
      return Vp8Prediction.VERTICAL_LEFT;
    }
    return readNode(above, left, 8) ? Vp8Prediction.HORIZONTAL_UP : Vp8Prediction.HORIZONTAL_DOWN;
  }

  private boolean readNode(int above, int left, int node) throws EOFException {
    return header.read(Vp8Tables.modeProbability(above, left, node));
  }
}
