package org.tessera.parallel;

import org.tessera.device.Device;
import org.tessera.ops.Ops;

/**
 * One worker of a model.
 *
 * @param device what it computes on
 * @param collective its way to the ranks among which its layers are cut
 * @param part which modules it holds, whole or its share of them
 */
public record Rank(Device device, Collective collective, ModelPart part) {
  /** A rank that has a share of every module that is cut, and the others whole. */
  public Rank(Device device, Collective collective) {
    this(device, collective, ModelPart.WHOLE);
  }

  /** A rank that holds the whole model. */
  public static Rank whole(Device device) {
    return new Rank(device, Collective.single());
  }

  public Ops ops() {
    return device.ops();
  }
}
