package org.tessera.image;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tessera.api.Image;
import org.tessera.config.PreprocessorConfig;
import org.tessera.error.CheckpointException;
import org.tessera.error.ImageException;

/**
 * Resizes and cuts a picture as its {@link SlicePlan} says and turns slices into patches of
 * normalised values. The parameters are those of {@code preprocessor_config.json}.
 */
public final class ImageProcessor {
  /** Unresized pictures over this would fill a device with attention scores: 1,792 x 1,792. */
  private static final int MAX_UNSLICED_PATCHES = 16_384;

  private static final int CHANNELS = 3;

  private final int patchSize;
  private final int scaleResolution;
  private final boolean sliceMode;

  /** The normalised value of each byte of each channel. */
  private final float[][] normalised;

  private final PixelWarmUp kernels = new PixelWarmUp();

  /**
   * @param patchSize the side of a patch in pixels
   * @param scaleResolution the side of the square whose area a slice should have, in pixels
   * @param sliceMode false feeds pictures as they are, unresized
   * @param mean of red, green and blue, for values in [0, 1]
   * @param std of red, green and blue, none of them 0
   */
  public ImageProcessor(
      int patchSize, int scaleResolution, boolean sliceMode, float[] mean, float[] std) {
    require(patchSize >= 1, "patch_size must be at least 1, not " + patchSize);
    require(
        scaleResolution >= patchSize && scaleResolution <= 1 << 14,
        "scale_resolution must be from patch_size to 16384, not " + scaleResolution);
    require(mean.length == CHANNELS, "norm_mean must hold 3 values, not " + mean.length);
    require(std.length == CHANNELS, "norm_std must hold 3 values, not " + std.length);
    this.patchSize = patchSize;
    this.scaleResolution = scaleResolution;
    this.sliceMode = sliceMode;
    this.normalised = new float[CHANNELS][256];
    for (int c = 0; c < CHANNELS; c++) {
      require(std[c] != 0, "norm_std must not hold 0");
      for (int value = 0; value < 256; value++) {
        // Each step rounds to float32, as the original's does.
        float scaled = value / 255f;
        float centred = scaled - mean[c];
        normalised[c][value] = centred / std[c];
      }
    }
  }

  /** With the values of preprocessor_config.json. */
  public static ImageProcessor of(PreprocessorConfig config) {
    return new ImageProcessor(
        config.patchSize(),
        config.scaleResolution(),
        config.sliceMode(),
        toArray(config.normMean()),
        toArray(config.normStd()));
  }

  private static float[] toArray(List<Float> values) {
    float[] array = new float[values.size()];
    for (int i = 0; i < array.length; i++) {
      array[i] = values.get(i);
    }
    return array;
  }

  /**
   * The plan for a picture of this size.
   *
   * @param maxSliceNums slices at most, beside the overview; at least 1
   */
  public SlicePlan plan(Size source, int maxSliceNums) {
    if (sliceMode) {
      return SlicePlan.of(source, maxSliceNums, scaleResolution, patchSize);
    }
    SlicePlan plan = SlicePlan.unsliced(source, patchSize);
    int patches = PatchGrid.of(plan.overview(), patchSize).patchCount();
    if (patches > MAX_UNSLICED_PATCHES) {
      throw new ImageException(
          "a picture of %s pixels makes %d patches, over the limit of %d: set slice_mode to true"
              .formatted(source, patches, MAX_UNSLICED_PATCHES));
    }
    return plan;
  }

  /** Resizes and cuts a picture. */
  public ProcessedImage process(Image.Rgb picture, int maxSliceNums) {
    Size source = new Size(picture.width(), picture.height());
    SlicePlan plan = plan(source, maxSliceNums);
    List<ProcessedSlice> slices = new ArrayList<>(plan.sliceCount());
    // The two resizes are independent of each other, and each has too little work for all cores.
    List<Image.Rgb> resized =
        Stream.<Supplier<Image.Rgb>>of(
                () -> overview(picture, plan.overview()),
                () -> plan.refined().map(size -> resize(picture, size)).orElse(picture))
            .parallel()
            .map(Supplier::get)
            .toList();
    slices.add(slice(resized.getFirst()));
    if (plan.grid().isPresent()) {
      Grid grid = plan.grid().get();
      Size size = plan.slice().orElseThrow();
      slices.addAll(
          IntStream.range(0, grid.rows() * grid.columns())
              .parallel()
              .mapToObj(i -> {
                int left = i % grid.columns() * size.width();
                int top = i / grid.columns() * size.height();
                return slice(crop(resized.getLast(), left, top, size));
              })
              .toList());
    }
    if (sliceMode) {
      kernels.start();
    }
    return new ProcessedImage(source, plan, slices);
  }

  private Image.Rgb overview(Image.Rgb picture, Size size) {
    return sliceMode ? resize(picture, size) : crop(picture, 0, 0, size);
  }

  private Image.Rgb resize(Image.Rgb picture, Size size) {
    return PillowBicubic.resize(picture, size, kernels.ready());
  }

  /**
   * The patches of a slice as a linear patch embedding reads them.
   *
   * @return [rows * columns][3 * patchSize * patchSize]: patches row by row, in each patch all red
   *     values, then green, then blue, row by row
   */
  public float[] patches(ProcessedSlice slice) {
    return patchValues(slice, patchSize * patchSize, patchSize, patchLength());
  }

  /** The side of a patch, in pixels. */
  public int patchSize() {
    return patchSize;
  }

  /** The normalised values of the 256 bytes of red, then of green, then of blue. */
  public float[] normalisedValues() {
    float[] values = new float[CHANNELS * 256];
    for (int c = 0; c < CHANNELS; c++) {
      System.arraycopy(normalised[c], 0, values, c * 256, 256);
    }
    return values;
  }

  /**
   * The patches of a slice side by side, as the original's {@code pixel_values} hold them.
   *
   * @return [3][patchSize][rows * columns * patchSize]
   */
  public float[] strip(ProcessedSlice slice) {
    int width = slice.grid().patchCount() * patchSize;
    return patchValues(slice, patchSize * width, width, patchSize);
  }

  /** Writes value (patch, channel, y, x) to the position that the three strides give, x by one. */
  private float[] patchValues(
      ProcessedSlice slice, int channelStride, int rowStride, int patchStride) {
    PatchGrid grid = slice.grid();
    byte[] rgb = slice.pixels().rgb();
    int width = slice.pixels().width();
    float[] values = new float[Math.multiplyExact(grid.patchCount(), patchLength())];
    for (int patch = 0; patch < grid.patchCount(); patch++) {
      int top = patch / grid.columns() * patchSize;
      int left = patch % grid.columns() * patchSize;
      for (int y = 0; y < patchSize; y++) {
        int in = ((top + y) * width + left) * CHANNELS;
        int out = patch * patchStride + y * rowStride;
        for (int x = 0; x < patchSize; x++) {
          for (int c = 0; c < CHANNELS; c++) {
            values[out + x + c * channelStride] = normalised[c][rgb[in++] & 0xff];
          }
        }
      }
    }
    return values;
  }

  private int patchLength() {
    return CHANNELS * patchSize * patchSize;
  }

  private ProcessedSlice slice(Image.Rgb pixels) {
    Size size = new Size(pixels.width(), pixels.height());
    return new ProcessedSlice(pixels, PatchGrid.of(size, patchSize));
  }

  private static Image.Rgb crop(Image.Rgb picture, int left, int top, Size size) {
    if (size.width() == picture.width() && size.height() == picture.height()) {
      return picture;
    }
    int stride = size.width() * CHANNELS;
    byte[] rgb = new byte[stride * size.height()];
    for (int y = 0; y < size.height(); y++) {
      int from = ((top + y) * picture.width() + left) * CHANNELS;
      System.arraycopy(picture.rgb(), from, rgb, y * stride, stride);
    }
    return new Image.Rgb(picture.name(), size.width(), size.height(), rgb);
  }

  private static void require(boolean condition, String message) {
    if (!condition) {
      throw new CheckpointException("preprocessor_config.json: " + message);
    }
  }
}
