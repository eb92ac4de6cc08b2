package org.tessera.engine;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.Workspace;
import org.tessera.engine.EngineRequest.ImageInput;
import org.tessera.model.VisionLanguageModel;
import org.tessera.ops.Ops;
import org.tessera.tensor.Tensor;

/**
 * The features of a request's pictures, from when they are first needed until the prompt is
 * computed. Pictures whose place in the prompt is in the cache already are never encoded.
 */
final class ImageFeatures implements AutoCloseable {
  private final List<ImageInput> images;
  private final int queryNum;

  /** First image that has a row block in {@link #features}. */
  private int firstImage;

  private int encodedImages;
  private @Nullable DeviceMemory memory;
  private @Nullable Tensor features;

  ImageFeatures(List<ImageInput> images, int queryNum) {
    this.images = images;
    this.queryNum = queryNum;
  }

  /** Whether an image that reaches past {@code position} still has to be encoded. */
  boolean isMissingFrom(int position) {
    return firstNeeded(position) < images.size()
        && (features == null || firstImage + encodedImages < images.size());
  }

  /** Encodes the next slices, {@code limit} at most. */
  void encode(
      int position, int limit, VisionLanguageModel model, Device device, Workspace workspace) {
    if (features == null) {
      firstImage = firstNeeded(position);
      encodedImages = 0;
      memory = device.allocateRegion();
      int rows = (images.size() - firstImage) * queryNum;
      features = memory.allocate(device.activationType(), rows, model.spec().hiddenSize());
    }
    int from = firstImage + encodedImages;
    int to = Math.min(images.size(), from + limit);
    Tensor out = features.rows(encodedImages * queryNum, (to - firstImage) * queryNum);
    model.encodeImages(
        images.subList(from, to).stream().map(ImageInput::slice).toList(), out, workspace);
    encodedImages += to - from;
  }

  /** Puts the features of positions {@code from} to {@code to} over their embeddings. */
  void splice(int from, int to, Tensor hidden, Ops ops, Workspace workspace) {
    for (int i = firstNeeded(from); i < images.size(); i++) {
      int start = images.get(i).range().start();
      int first = Math.max(start, from);
      int last = Math.min(start + queryNum, to);
      if (first >= last) {
        return;
      }
      if (features == null) {
        throw new IllegalStateException("image " + i + " is not encoded");
      }
      int row = (i - firstImage) * queryNum + first - start;
      int[] ids = new int[last - first];
      for (int j = 0; j < ids.length; j++) {
        ids[j] = first - from + j;
      }
      ops.scatterRows(features.rows(row, row + ids.length), workspace.upload(ids), hidden);
    }
  }

  /** Frees the features; they are encoded again should they be needed again. */
  @Override
  public void close() {
    if (memory != null) {
      memory.close();
    }
    memory = null;
    features = null;
  }

  private int firstNeeded(int position) {
    int image = 0;
    while (image < images.size() && images.get(image).range().start() + queryNum <= position) {
      image++;
    }
    return image;
  }
}
