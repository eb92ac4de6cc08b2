package org.tessera.plan;

import java.util.Collections;
import java.util.SortedMap;
import java.util.TreeMap;
import org.tessera.plan.Plan.PerDevice;

/** A way to run the model that was looked at. */
public sealed interface Candidate {
  /** What kind of way: {@code tensor parallel over 2}. */
  String name();

  /** One line: why it was taken, or why it was not. */
  String reason();

  /**
   * One that fits.
   *
   * @param placement what lies where, in words
   * @param perDevice predicted bytes of devices that hold something
   */
  record Feasible(
      String name,
      String reason,
      String placement,
      Deployment deployment,
      SortedMap<DeviceId, PerDevice> perDevice,
      Prediction prediction)
      implements Candidate {
    public Feasible {
      perDevice = Collections.unmodifiableSortedMap(new TreeMap<>(perDevice));
    }

    Feasible because(String why) {
      return new Feasible(name, why, placement, deployment, perDevice, prediction);
    }

    /**
     * Whether pictures are encoded on the CPU, which takes seconds where a GPU takes milliseconds.
     */
    boolean seesOnCpu() {
      return deployment.replicas().stream()
          .anyMatch(replica -> replica.vision().contains(DeviceId.CPU));
    }

    int deviceCount() {
      return perDevice.size();
    }
  }

  /** One that is impossible here. */
  record Refused(String name, String reason) implements Candidate {}
}
