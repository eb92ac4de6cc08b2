package org.tessera.api;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.tessera.engine.Closing;
import org.tessera.engine.DeployedModel;
import org.tessera.engine.Replicas;
import org.tessera.weights.SafetensorsCheckpoint;

/** What a loaded model holds open, closed once, in the opposite order, whatever fails meanwhile. */
final class Resources implements AutoCloseable {
  private final Deque<Runnable> closers = new ArrayDeque<>();

  SafetensorsCheckpoint add(SafetensorsCheckpoint checkpoint) {
    closers.push(checkpoint::close);
    return checkpoint;
  }

  DeployedModel add(DeployedModel model) {
    closers.push(model::close);
    return model;
  }

  Replicas add(Replicas engines) {
    closers.push(engines::close);
    return engines;
  }

  @Override
  public synchronized void close() {
    List<Runnable> newestFirst = new ArrayList<>(closers);
    closers.clear();
    Closing.all(newestFirst);
  }
}
