package org.tessera.plan;

import java.util.Comparator;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.tessera.error.PlanException;

/**
 * A place for weights, as device maps name it: a GPU's number, {@code cpu} or {@code disk}. GPUs
 * come first, by number, then the CPU, then the disk.
 *
 * @param index the GPU's number; 0 for the others
 */
public record DeviceId(Kind kind, int index) implements Comparable<DeviceId> {
  /** In the order in which accelerate fills devices. */
  public enum Kind {
    GPU,
    CPU,
    DISK
  }

  public static final DeviceId CPU = new DeviceId(Kind.CPU, 0);
  public static final DeviceId DISK = new DeviceId(Kind.DISK, 0);

  private static final Pattern GPU_NAME = Pattern.compile("(?:cuda:)?(\\d{1,4})");
  private static final Comparator<DeviceId> ORDER =
      Comparator.comparing(DeviceId::kind).thenComparingInt(DeviceId::index);

  public DeviceId {
    if (index < 0 || (kind != Kind.GPU && index != 0)) {
      throw new PlanException("%s has no device number %d".formatted(kind, index));
    }
  }

  public static DeviceId gpu(int index) {
    return new DeviceId(Kind.GPU, index);
  }

  /** Whether {@link #parse} reads this: devices of other backends have ids that it does not. */
  public static boolean isId(String text) {
    return text.equals("cpu") || text.equals("disk") || GPU_NAME.matcher(text).matches();
  }

  /**
   * Reads {@code 0}, {@code cuda:0}, {@code cpu} or {@code disk}.
   *
   * @throws PlanException for anything else
   */
  public static DeviceId parse(String text) {
    if (text.equals("cpu")) {
      return CPU;
    }
    if (text.equals("disk")) {
      return DISK;
    }
    Matcher gpu = GPU_NAME.matcher(text);
    if (!gpu.matches()) {
      throw new PlanException(
          "device \"%s\" is not known: expected a GPU's number such as 0 or cuda:0, or cpu"
              .formatted(Printable.of(text)));
    }
    return gpu(Integer.parseInt(gpu.group(1)));
  }

  public boolean isGpu() {
    return kind == Kind.GPU;
  }

  /** As maps and budgets print it: {@code 0}, {@code cpu}, {@code disk}. */
  public String label() {
    return isGpu() ? Integer.toString(index) : kind.name().toLowerCase(Locale.ROOT);
  }

  /** As a sentence names it: {@code GPU 0}, {@code cpu}, {@code disk}. */
  @Override
  public String toString() {
    return isGpu() ? "GPU " + index : label();
  }

  @Override
  public int compareTo(DeviceId other) {
    return ORDER.compare(this, other);
  }
}
