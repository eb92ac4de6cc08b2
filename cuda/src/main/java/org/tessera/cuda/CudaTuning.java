package org.tessera.cuda;

import java.util.Arrays;
import java.util.Locale;
import java.util.Properties;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.tessera.error.DeviceException;

/**
 * Which of several right ways the operations take, so that one run can measure them side by side.
 * What is left alone is what was measured best, or is expected to be: docs/performance.md.
 *
 * @param gemv how products of few rows are shared among multiprocessors
 * @param gemvBlocks blocks a multiprocessor, 1 or 2, of products that are not shared by clusters
 * @param gemvAhead steps of weights that such products ask into L2 before the kernel before them
 *     has ended; -1 for as many as a small matrix has, and none of a large one
 * @param gemvLate whether the kernel after such a product may start only when the last of its
 *     matrix was asked for
 * @param gemvRows rows, 8 or 16, up to which products are made by these kernels
 * @param candidates algorithms of cuBLASLt that are timed when a recurring product is first made; 1
 *     for the one that its heuristic puts first
 * @param wgmma whether attention of many rows uses the products of warpgroups, where the card has
 *     them
 */
record CudaTuning(
    Gemv gemv,
    int gemvBlocks,
    int gemvAhead,
    boolean gemvLate,
    int gemvRows,
    int candidates,
    boolean wgmma) {
  /** What the properties of {@link #of} begin with. */
  static final String PREFIX = "tessera.cuda.";

  /** How the blocks of a product of few rows divide a matrix. */
  enum Gemv {
    /** By the shape: {@link CudaLinear#isShared}. */
    AUTO,
    /** A block takes whole rows. */
    SINGLE,
    /** Two blocks halve every row. */
    CLUSTERS
  }

  CudaTuning {
    require(gemvBlocks == 1 || gemvBlocks == 2, "gemv.blocks must be 1 or 2", gemvBlocks);
    require(gemvAhead >= -1 && gemvAhead <= 64, "gemv.ahead must be from -1 to 64", gemvAhead);
    require(gemvRows == 8 || gemvRows == 16, "gemv.rows must be 8 or 16", gemvRows);
    require(
        candidates >= 1 && candidates <= 64, "matmul.candidates must be from 1 to 64", candidates);
  }

  static CudaTuning defaults() {
    return new CudaTuning(Gemv.SINGLE, 2, 0, false, 8, 8, true);
  }

  /**
   * By properties whose names begin with {@link #PREFIX}: {@code gemv}, {@code gemv.blocks}, {@code
   * gemv.ahead}, {@code gemv.late}, {@code gemv.rows}, {@code matmul.candidates} and {@code
   * attention.wgmma}.
   *
   * @throws DeviceException where one has a value that it cannot have
   */
  static CudaTuning of(Properties properties) {
    CudaTuning defaults = defaults();
    return new CudaTuning(
        gemv(properties.getProperty(PREFIX + "gemv"), defaults.gemv),
        integer(properties, "gemv.blocks", defaults.gemvBlocks),
        integer(properties, "gemv.ahead", defaults.gemvAhead),
        bool(properties, "gemv.late", defaults.gemvLate),
        integer(properties, "gemv.rows", defaults.gemvRows),
        integer(properties, "matmul.candidates", defaults.candidates),
        bool(properties, "attention.wgmma", defaults.wgmma));
  }

  private static Gemv gemv(@Nullable String value, Gemv otherwise) {
    if (value == null) {
      return otherwise;
    }
    return Arrays.stream(Gemv.values())
        .filter(choice -> choice.name().equalsIgnoreCase(value))
        .findFirst()
        .orElseThrow(() ->
            new DeviceException(
                "%sgemv must be one of %s, not '%s'"
                    .formatted(
                        PREFIX,
                        Arrays.stream(Gemv.values())
                            .map(choice -> choice.name().toLowerCase(Locale.ROOT))
                            .collect(Collectors.joining(", ")),
                        value)));
  }

  private static int integer(Properties properties, String name, int otherwise) {
    String value = properties.getProperty(PREFIX + name);
    if (value == null) {
      return otherwise;
    }
    try {
      return Integer.parseInt(value);
    } catch (NumberFormatException e) {
      throw new DeviceException("%s%s is no number: '%s'".formatted(PREFIX, name, value), e);
    }
  }

  private static boolean bool(Properties properties, String name, boolean otherwise) {
    String value = properties.getProperty(PREFIX + name);
    if (value == null) {
      return otherwise;
    }
    return switch (value) {
      case "true" -> true;
      case "false" -> false;
      default ->
          throw new DeviceException(
              "%s%s must be true or false, not '%s'".formatted(PREFIX, name, value));
    };
  }

  private static void require(boolean holds, String rule, int value) {
    if (!holds) {
      throw new DeviceException("%s%s, not %d".formatted(PREFIX, rule, value));
    }
  }
}
