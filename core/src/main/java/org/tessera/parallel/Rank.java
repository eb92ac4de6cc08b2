package org.tessera.parallel;

import org.tessera.device.Device;
import org.tessera.ops.Ops;

/** One worker of a model: the device it computes on and its way to the others. */
public record Rank(Device device, Collective collective) {
  /** A rank that holds the whole model. */
  public static Rank whole(Device device) {
    return new Rank(device, Collective.single());
  }

  public Ops ops() {
    return device.ops();
  }
}
