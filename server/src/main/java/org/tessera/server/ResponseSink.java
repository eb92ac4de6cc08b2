package org.tessera.server;

import io.helidon.webserver.http.ServerResponse;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.tessera.api.ChatRequest;
import org.tessera.api.ChatResponse;
import org.tessera.api.TokenStream.Delta;
import org.tessera.tools.ToolCall;
import org.tessera.tools.ToolCallParser.Output;
import tools.jackson.databind.node.ObjectNode;

/** Makes the items of a response of the answer, and tells of them as they come where asked to. */
final class ResponseSink implements Answers.Sink {
  private final ResponseObject answer;
  private final AnswerParts parts;
  private final @Nullable ServerResponse streamed;
  private @Nullable EventStream events;
  private int sequenceNumber;
  private @Nullable OpenMessage message;

  /**
   * @param streamed where events go; null for none
   */
  ResponseSink(ChatRequest request, ResponseObject answer, @Nullable ServerResponse streamed) {
    this.answer = answer;
    this.streamed = streamed;
    parts = new AnswerParts(request);
  }

  /** A message whose text is not complete. */
  private record OpenMessage(ObjectNode item, String id, int outputIndex, StringBuilder text) {
    ObjectNode place(ObjectNode event) {
      return event.put("item_id", id).put("output_index", outputIndex).put("content_index", 0);
    }

    ObjectNode part() {
      return textPart(text.toString());
    }
  }

  @Override
  public void started() {
    if (streamed == null) {
      return;
    }
    events = new EventStream(streamed);
    tell("response.created", response(answer.inProgress()));
    tell("response.in_progress", response(answer.inProgress()));
  }

  @Override
  public void delta(int index, Delta delta) {
    take(parts.push(delta.text()));
  }

  @Override
  public void end(int index, ChatResponse ended) {
    take(parts.finish());
    if (message == null && parts.calls().isEmpty()) {
      open();
    }
    answer.end(ended);
    boolean cut = answer.isIncomplete();
    closeMessage(cut ? "incomplete" : "completed");
    tell(cut ? "response.incomplete" : "response.completed", response(answer.finished()));
  }

  @Override
  public void silence() {
    if (events != null) {
      events.ping();
    }
  }

  void close() {
    if (events != null) {
      events.close();
    }
  }

  /** Before the stream began this is an answer like any other; after, it is its last event. */
  void fail(RuntimeException cause) {
    if (events == null || Errors.isDisconnect(cause)) {
      throw cause;
    }
    tell("response.failed", response(answer.failed(Errors.of(cause))));
    events.close();
  }

  long stalledNanos() {
    EventStream open = events;
    return open == null ? 0 : open.stalledNanos();
  }

  private void take(List<Output> outputs) {
    for (Output output : outputs) {
      switch (output) {
        case Output.Content(String text) -> {
          OpenMessage open = message == null ? open() : message;
          open.text().append(text);
          ObjectNode event = open.place(Json.newObject()).put("delta", text);
          event.putArray("logprobs");
          tell("response.output_text.delta", event);
        }
        case Output.Call(ToolCall call) -> {
          closeMessage("completed");
          call(call);
        }
      }
    }
  }

  private OpenMessage open() {
    String id = ResponseObject.freshId("msg_");
    ObjectNode item =
        Json.newObject()
            .put("id", id)
            .put("type", "message")
            .put("role", "assistant")
            .put("status", "in_progress");
    item.putArray("content");
    OpenMessage open = new OpenMessage(item, id, answer.add(item), new StringBuilder());
    message = open;
    tellItem("response.output_item.added", open.outputIndex(), item);
    tell("response.content_part.added", open.place(Json.newObject()).set("part", open.part()));
    return open;
  }

  private void closeMessage(String status) {
    OpenMessage open = message;
    if (open == null) {
      return;
    }
    message = null;
    ObjectNode done = open.place(Json.newObject()).put("text", open.text().toString());
    done.putArray("logprobs");
    tell("response.output_text.done", done);
    tell("response.content_part.done", open.place(Json.newObject()).set("part", open.part()));
    open.item().put("status", status).putArray("content").add(open.part());
    tellItem("response.output_item.done", open.outputIndex(), open.item());
  }

  private void call(ToolCall call) {
    String id = ResponseObject.freshId("fc_");
    ObjectNode item =
        Json.newObject()
            .put("id", id)
            .put("type", "function_call")
            .put("status", "in_progress")
            .put("call_id", call.id())
            .put("name", call.name())
            .put("arguments", "");
    int outputIndex = answer.add(item);
    tellItem("response.output_item.added", outputIndex, item);
    tell(
        "response.function_call_arguments.delta",
        Json.newObject()
            .put("item_id", id)
            .put("output_index", outputIndex)
            .put("delta", call.arguments()));
    tell(
        "response.function_call_arguments.done",
        Json.newObject()
            .put("item_id", id)
            .put("output_index", outputIndex)
            .put("name", call.name())
            .put("arguments", call.arguments()));
    item.put("status", "completed").put("arguments", call.arguments());
    tellItem("response.output_item.done", outputIndex, item);
  }

  private void tellItem(String type, int outputIndex, ObjectNode item) {
    tell(type, Json.newObject().put("output_index", outputIndex).set("item", item));
  }

  private void tell(String type, ObjectNode event) {
    if (events != null) {
      events.event(type, event.put("type", type).put("sequence_number", sequenceNumber++));
    }
  }

  private static ObjectNode response(ObjectNode response) {
    return Json.newObject().set("response", response);
  }

  private static ObjectNode textPart(String text) {
    ObjectNode part = Json.newObject().put("type", "output_text").put("text", text);
    part.putArray("annotations");
    part.putArray("logprobs");
    return part;
  }
}
