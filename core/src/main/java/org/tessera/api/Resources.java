package org.tessera.api;

import java.util.ArrayDeque;
import java.util.Deque;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.engine.Engine;
import org.tessera.parallel.RankGroup;
import org.tessera.weights.SafetensorsCheckpoint;

/** What a loaded model holds open, closed once, in the opposite order. */
final class Resources implements AutoCloseable {
  private final Deque<Runnable> closers = new ArrayDeque<>();

  SafetensorsCheckpoint add(SafetensorsCheckpoint checkpoint) {
    closers.push(checkpoint::close);
    return checkpoint;
  }

  Device add(Device device) {
    closers.push(device::close);
    return device;
  }

  DeviceMemory add(DeviceMemory memory) {
    closers.push(memory::close);
    return memory;
  }

  RankGroup add(RankGroup group) {
    closers.push(group::close);
    return group;
  }

  Engine add(Engine engine) {
    closers.push(engine::close);
    return engine;
  }

  @Override
  public synchronized void close() {
    while (!closers.isEmpty()) {
      closers.pop().run();
    }
  }
}
