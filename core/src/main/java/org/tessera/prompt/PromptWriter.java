package org.tessera.prompt;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tessera.image.Grid;
import org.tessera.text.Tokenizer;

/**
 * Writes the pieces of one prompt as ids. Text is gathered until a control token ends the run,
 * because bytes may merge across the seam of two texts.
 */
final class PromptWriter {
  private final Tokenizer tokenizer;
  private final ControlIds control;
  private final int queryNum;
  private final boolean useImageId;
  private final StringBuilder run = new StringBuilder();
  private final List<ImageSpan> spans = new ArrayList<>();
  private int[] ids = new int[256];
  private int count;

  PromptWriter(Tokenizer tokenizer, ControlIds control, int queryNum, boolean useImageId) {
    this.tokenizer = tokenizer;
    this.control = control;
    this.queryNum = queryNum;
    this.useImageId = useImageId;
  }

  void text(String text) {
    run.append(text);
  }

  void control(int id) {
    endRun();
    reserve(1);
    ids[count++] = id;
  }

  /**
   * {@code <image_id>i</image_id><image>…</image>} and, where the picture is sliced, rows of {@code
   * <slice>…</slice>} with a line feed between them.
   */
  void picture(int imageIndex, Optional<Grid> grid) {
    if (useImageId) {
      control(control.imIdStart());
      text(Integer.toString(imageIndex));
      control(control.imIdEnd());
    }
    span(imageIndex, 0, control.imStart(), control.imEnd());
    grid.ifPresent(slices -> slices(imageIndex, slices));
  }

  Prompt finish() {
    endRun();
    List<Integer> tokenIds = Arrays.stream(ids, 0, count).boxed().toList();
    return new Prompt(tokenIds, spans, spans.size() * queryNum);
  }

  private void slices(int imageIndex, Grid grid) {
    int sliceIndex = 1;
    for (int row = 0; row < grid.rows(); row++) {
      if (row > 0) {
        text("\n");
      }
      for (int column = 0; column < grid.columns(); column++) {
        span(imageIndex, sliceIndex++, control.sliceStart(), control.sliceEnd());
      }
    }
  }

  private void span(int imageIndex, int sliceIndex, int start, int end) {
    control(start);
    spans.add(new ImageSpan(imageIndex, sliceIndex, count, queryNum));
    reserve(queryNum);
    Arrays.fill(ids, count, count + queryNum, control.unk());
    count += queryNum;
    control(end);
  }

  private void endRun() {
    if (run.isEmpty()) {
      return;
    }
    int[] text = tokenizer.encode(run.toString());
    run.setLength(0);
    reserve(text.length);
    System.arraycopy(text, 0, ids, count, text.length);
    count += text.length;
  }

  private void reserve(int more) {
    if (ids.length - count < more) {
      ids = Arrays.copyOf(ids, Math.max(2 * ids.length, count + more));
    }
  }
}
