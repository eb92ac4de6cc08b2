package org.tessera.engine;

import java.util.ArrayList;
import java.util.List;
import org.tessera.engine.EngineRequest.ImageInput;
import org.tessera.engine.StepInput.Splice;

/**
 * Which pictures of a request are encoded: from when they are first needed until the prompt is
 * computed. Pictures whose place in the prompt is in the cache already are never encoded.
 */
final class ImageFeatures {
  private final long id;
  private final List<ImageInput> images;
  private final int queryNum;

  /** The first image whose features are kept, and how many are encoded from there. */
  private int firstImage;

  private int encodedImages;
  private int encodedSlices;

  /** Whether the runner may hold memory for features, encoded or not. */
  private boolean held;

  ImageFeatures(long id, List<ImageInput> images, int queryNum) {
    this.id = id;
    this.images = images;
    this.queryNum = queryNum;
  }

  /** Whether an image that reaches past {@code position} still has to be encoded. */
  boolean isMissingFrom(int position) {
    return firstNeeded(position) < images.size()
        && (encodedImages == 0 || firstImage + encodedImages < images.size());
  }

  /** Encodes the next slices, {@code limit} at most. */
  void encode(int position, int limit, ModelRunner runner) {
    if (encodedImages == 0) {
      firstImage = firstNeeded(position);
    }
    int from = firstImage + encodedImages;
    int to = Math.min(images.size(), from + limit);
    held = true;
    runner.encodeImages(
        id,
        images.subList(from, to).stream().map(ImageInput::slice).toList(),
        encodedImages * queryNum,
        (images.size() - firstImage) * queryNum);
    encodedImages += to - from;
    encodedSlices += to - from;
  }

  /** Slices encoded so far, those that were encoded twice counted twice. */
  int encodedSlices() {
    return encodedSlices;
  }

  /**
   * What of positions {@code from} to {@code to}, rows {@code row} and on of a step, is pictures.
   */
  List<Splice> splices(int from, int to, int row) {
    List<Splice> splices = new ArrayList<>();
    for (int i = firstNeeded(from); i < images.size(); i++) {
      int start = images.get(i).range().start();
      int first = Math.max(start, from);
      int last = Math.min(start + queryNum, to);
      if (first >= last) {
        break;
      }
      int featureRow = (i - firstImage) * queryNum + first - start;
      splices.add(new Splice(id, featureRow, row + first - from, last - first));
    }
    return splices;
  }

  /** Frees the features; they are encoded again should they be needed again. */
  void release(ModelRunner runner) {
    if (held) {
      held = false;
      encodedImages = 0;
      runner.releaseImages(id);
    }
  }

  private int firstNeeded(int position) {
    int image = 0;
    while (image < images.size() && images.get(image).range().start() + queryNum <= position) {
      image++;
    }
    return image;
  }
}
