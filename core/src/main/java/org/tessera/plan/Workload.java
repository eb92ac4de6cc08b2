package org.tessera.plan;

/**
 * What is predicted for.
 *
 * @param promptTokens positions of a prompt, of which a picture's are a part; also the positions
 *     that an answer's tokens attend to
 * @param sliceCount slices of pictures in the prompt
 * @param batch answers at once
 */
public record Workload(int promptTokens, int sliceCount, int batch) {
  /** Slices of a picture of 1344 x 1344 pixels: three by three and the overview. */
  private static final int PICTURE_SLICES = 10;

  /** Before and after a slice's rows. */
  private static final int SLICE_MARKS = 2;

  /** Chat template, line breaks of the grid, and a question of a few words. */
  private static final int TEXT_TOKENS = 31;

  public Workload {
    if (promptTokens < 1 || sliceCount < 0 || batch < 1) {
      throw new IllegalArgumentException(
          "%d prompt tokens, %d slices, batch %d".formatted(promptTokens, sliceCount, batch));
    }
  }

  /**
   * A picture of 1344 x 1344 pixels and a short question: 691 tokens with MiniCPM-V 2.6, the prompt
   * of docs/performance.md. Text alone where the request takes no pictures, and no more than the
   * context holds.
   */
  static Workload of(ModelSizes sizes, PlanRequest request) {
    int slices = request.sliceCount() == 0 ? 0 : PICTURE_SLICES;
    int tokens = slices * (sizes.queryNum() + SLICE_MARKS) + TEXT_TOKENS;
    return new Workload(Math.min(tokens, request.contextTokens()), slices, request.batch());
  }
}
