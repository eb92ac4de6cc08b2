package org.tessera.server;

import com.sun.management.OperatingSystemMXBean;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.OptionalInt;
import org.tessera.api.InputOptions;
import org.tessera.api.ModelInfo;
import org.tessera.api.PicturePlan;
import org.tessera.api.Tessera;
import org.tessera.device.DeviceInfo;
import org.tessera.engine.EngineStats;
import org.tessera.image.Size;
import org.tessera.image.SlicePlan;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** What the web page shows beside answers: devices and their load, and how pictures are cut. */
final class PageRoutes {
  /** A side over this is no picture that is accepted. */
  private static final int MAX_SIDE_PIXELS = 65_535;

  private final Tessera tessera;
  private final Bodies bodies;
  private final ServerLimits limits;
  private final OperatingSystemMXBean host =
      ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);

  PageRoutes(Tessera tessera, Bodies bodies, ServerLimits limits) {
    this.tessera = tessera;
    this.bodies = bodies;
    this.limits = limits;
  }

  /** {@code GET /v1/tessera/devices}: bytes, and loads from 0 to 1. */
  void devices(ServerRequest request, ServerResponse response) {
    ObjectNode body = Json.newObject();
    ModelInfo info = tessera.info();
    body.putObject("model")
        .put("architecture", info.architecture())
        .put("parameters", info.parameterCount())
        .put("weight_bytes", info.weightBytes())
        .put("context_tokens", info.contextTokens());
    ArrayNode devices = body.putArray("devices");
    tessera.devices().forEach(device -> describe(devices.addObject(), device, info));
    EngineStats stats = tessera.stats();
    body.putObject("engine")
        .put("running", stats.running())
        .put("waiting", stats.waiting())
        .put("kv_blocks", stats.kvBlocks())
        .put("used_kv_blocks", stats.usedKvBlocks())
        .put("queried_tokens", stats.queriedTokens())
        .put("cached_tokens", stats.cachedTokens())
        .put("preemptions", stats.preemptions());
    Runtime runtime = Runtime.getRuntime();
    ObjectNode process =
        body.putObject("host")
            .put("processors", runtime.availableProcessors())
            .put("heap_bytes", runtime.totalMemory() - runtime.freeMemory())
            .put("max_heap_bytes", runtime.maxMemory());
    putLoad(process, "load", host.getCpuLoad());
    putLoad(process, "process_load", host.getProcessCpuLoad());
    Replies.json(response, body);
  }

  private static void describe(ObjectNode node, DeviceInfo device, ModelInfo info) {
    node.put("id", device.id())
        .put("name", device.name())
        .put("total_bytes", device.totalBytes())
        .put("free_bytes", device.freeBytes());
    ArrayNode modules = node.putArray("modules");
    info.deviceMap().entrySet().stream()
        .filter(entry -> List.of(entry.getValue().split(",")).contains(device.id()))
        .map(entry -> entry.getKey())
        .sorted()
        .forEach(modules::add);
  }

  /** The JDK says a negative number while it does not know yet. */
  private static void putLoad(ObjectNode node, String name, double load) {
    if (load >= 0) {
      node.put(name, load);
    } else {
      node.putNull(name);
    }
  }

  /**
   * {@code POST /v1/tessera/slices}: how a picture of {@code width} by {@code height} pixels is
   * cut. A frame of a video has {@code "video": true}.
   */
  void slices(ServerRequest request, ServerResponse response) {
    Replies.json(response, slices(bodies.parse(request, this::plan)));
  }

  private PicturePlan plan(Fields body) {
    InputOptions input = body.flag("video") ? InputOptions.video() : InputOptions.defaults();
    OptionalInt slices = body.integer("max_slice_nums", 1, limits.maxSliceNums());
    if (slices.isPresent()) {
      input = input.withMaxSliceNums(slices.getAsInt());
    }
    return tessera.plan(side(body, "width"), side(body, "height"), input);
  }

  private static int side(Fields body, String name) {
    return body.integer(name, 1, MAX_SIDE_PIXELS).orElseThrow(() -> body.missing(name));
  }

  private static ObjectNode slices(PicturePlan picture) {
    SlicePlan plan = picture.slices();
    ObjectNode body =
        Json.newObject()
            .put("slices", plan.sliceCount())
            .put("columns", plan.grid().map(grid -> grid.columns()).orElse(1))
            .put("rows", plan.grid().map(grid -> grid.rows()).orElse(1))
            .put("image_tokens", picture.imageTokens());
    putSize(body, "overview", plan.overview());
    plan.slice().ifPresent(size -> putSize(body, "slice", size));
    return body;
  }

  private static void putSize(ObjectNode body, String name, Size size) {
    body.putObject(name).put("width", size.width()).put("height", size.height());
  }
}
