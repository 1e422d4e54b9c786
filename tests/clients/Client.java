import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** Client [URL BODY]: posts a JSON body and prints the answer and its status; without a URL the version. */
public class Client {
    public static void main(String[] arguments) throws Exception {
        if (arguments.length < 2) {
            System.out.println("java " + System.getProperty("java.version"));
            return;
        }
        var request = HttpRequest.newBuilder(URI.create(arguments[0]))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(arguments[1]))
                .build();
        var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(answer.body() + " " + answer.statusCode());
    }
}
