package org.tessera.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.tessera.device.DeviceSpeed;
import org.tessera.device.Link;
import org.tessera.error.PlanException;

/**
 * The syntax of {@code --gpus}, a machine that one does not have: {@code 4x24GiB@1008GB/s}, {@code
 * 2x80GiB@3350GB/s/989TFLOPs/link=300GB/s,1x24GiB,cpu=64GiB@40GB/s}. GPUs are numbered from 0 in
 * the order in which they are listed. Only their bytes must be given: free ones, the rate at which
 * memory is read, the nominal rate of dense half-precision products, and what GPUs reach over a
 * link of their own.
 */
public final class MachineSpec {
  private static final int MAX_GPUS = 16;

  /** Longest item that is read, so that a pattern never sees a long text. */
  private static final int MAX_CHARACTERS = 80;

  /**
   * Operations for each byte a second where no rate is given: 165 TFLOP/s at 1,008 GB/s, an RTX
   * 4090 by its data sheet. An H200 has 206 and an A100 153.
   */
  private static final double OPERATIONS_PER_BYTE =
      DeviceBudget.ASSUMED_GPU.flops() / DeviceBudget.ASSUMED_GPU.bytesPerSecond();

  private static final String NUMBER = "\\d{1,6}(?:\\.\\d{1,3})?";
  private static final Pattern ITEM =
      Pattern.compile(
          "(?:(?<cpu>cpu)=|(?<count>\\d{1,2})x)?(?<size>[^@/=]+)"
              + "(?:@(?<rate>%1$s)(?<unit>[GT])B/s)?".formatted(NUMBER)
              + "(?:/(?<flops>%1$s)TFLOPs)?".formatted(NUMBER)
              + "(?:/link=(?<link>%1$s)GB/s)?".formatted(NUMBER),
          Pattern.CASE_INSENSITIVE);

  private MachineSpec() {}

  /**
   * Reads a machine.
   *
   * @throws PlanException where an item is not as above, a rate is zero, cpu comes twice or there
   *     are more than 16 GPUs
   */
  public static List<DeviceBudget> parse(String text) {
    List<DeviceBudget> devices = new ArrayList<>();
    int gpus = 0;
    for (String item : text.split(",", -1)) {
      Matcher parts = ITEM.matcher(item.strip());
      if (item.length() > MAX_CHARACTERS || !parts.matches()) {
        throw invalid(item, "expected items such as 4x24GiB@1008GB/s or cpu=64GiB");
      }
      long bytes = ByteSize.parse(parts.group("size"));
      if (parts.group("cpu") != null) {
        DeviceBudget cpu =
            new DeviceBudget(DeviceId.CPU, bytes, speed(parts, item, DeviceBudget.ASSUMED_CPU));
        if (devices.stream().anyMatch(budget -> budget.device().equals(DeviceId.CPU))) {
          throw invalid(item, "cpu is listed twice");
        }
        devices.add(cpu);
        continue;
      }
      int count = parts.group("count") == null ? 1 : Integer.parseInt(parts.group("count"));
      if (count < 1 || gpus + count > MAX_GPUS) {
        throw invalid(item, "expected 1 to %d GPUs in all".formatted(MAX_GPUS));
      }
      DeviceSpeed speed = speed(parts, item, DeviceBudget.ASSUMED_GPU);
      for (int i = 0; i < count; i++) {
        devices.add(new DeviceBudget(DeviceId.gpu(gpus++), bytes, speed));
      }
    }
    return List.copyOf(devices);
  }

  private static DeviceSpeed speed(Matcher parts, String item, DeviceSpeed assumed) {
    double rate = assumed.bytesPerSecond();
    double flops = assumed.flops();
    if (parts.group("rate") != null) {
      boolean tera = parts.group("unit").toUpperCase(Locale.ROOT).equals("T");
      rate = positive(parts, "rate", item) * (tera ? 1e12 : 1e9);
      flops = parts.group("cpu") == null ? rate * OPERATIONS_PER_BYTE : flops;
    }
    if (parts.group("flops") != null) {
      flops = positive(parts, "flops", item) * 1e12;
    }
    Link link =
        parts.group("link") == null
            ? assumed.link()
            : new Link(positive(parts, "link", item) * 1e9, Link.DIRECT.latencySeconds());
    return new DeviceSpeed(rate, flops, link);
  }

  private static double positive(Matcher parts, String group, String item) {
    double value = Double.parseDouble(parts.group(group));
    if (value <= 0) {
      throw invalid(item, "a rate must be above 0");
    }
    return value;
  }

  private static PlanException invalid(String item, String why) {
    return new PlanException(
        "--gpus item \"%s\" is not valid: %s".formatted(Printable.of(item), why));
  }
}
