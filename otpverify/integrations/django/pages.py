"""What every page of a flow has: its address, its protection, its template."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView
from django.views.generic.base import TemplateResponseMixin, View

from otpverify.integrations.django import api, requests
from otpverify.integrations.django.forms import PhoneField
from otpverify.integrations.web.notices import Carried
from otpverify.integrations.web.requests import is_json

if TYPE_CHECKING:
    FormViewBase = FormView[Any]
else:
    FormViewBase = FormView  # generic in the stubs alone


class PageView(TemplateResponseMixin, View):
    """One page of a flow; `step` says which.

    Attributes:
        flow: The flow's name, in the names of URL patterns.
        folder: Its part of the addresses; the name, if empty.
        public: Whether people who are not signed in reach it where Django's
            `LoginRequiredMiddleware` is used.
        pages: Its pages, and where each is below the first.
        titles: What their headings say.
        to_account: Whether its codes go to the phone of the account that is signed in.
        own_kwargs: The variables of its addresses that other pages do not have.
    """

    flow: ClassVar[str]
    folder: ClassVar[str] = ""
    public: ClassVar[bool] = False
    pages: ClassVar[dict[str, str]] = {"first": ""}
    titles: ClassVar[dict[str, Any]] = {}
    to_account: ClassVar[bool] = False
    own_kwargs: ClassVar[frozenset[str]] = frozenset()
    step = "first"
    http_method_names: list[str] = ["get", "post", "head", "options"]  # noqa: RUF012 - as Django has it

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """The view, protected as its pages need it.

        Raises:
            TypeError: The flow has no such step.
            ConfigurationError: An asynchronous hook in a synchronous view.
        """
        if initkwargs.get("step", cls.step) not in cls.pages:
            raise TypeError(f"{cls.__name__} has these steps: {', '.join(cls.pages)}.")
        cls.check_hooks()
        view = never_cache(sensitive_post_parameters()(super().as_view(**initkwargs)))
        view = _protected(view, awaits=bool(cls.view_is_async))
        return login_not_required(view) if cls.public else view

    @classmethod
    def check_hooks(cls) -> None:
        """Check the methods that a subclass overrides."""

    @classmethod
    def urls(cls, **initkwargs: Any) -> list[URLPattern]:
        """All pages of the flow, for a list of URL patterns."""
        return [
            path(
                f"{cls.folder or cls.flow}/{end}",
                cls.as_view(step=step, **initkwargs),
                name=cls.url_name(step),
            )
            for step, end in cls.pages.items()
        ]

    @classmethod
    def url_name(cls, step: str) -> str:
        """The name of a page's URL pattern."""
        return cls.flow if step == "first" else f"{cls.flow}-{step}"

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """See `View`."""
        super().setup(request, *args, **kwargs)
        self.wants_json: bool = self.step == "status" or api.wants_json(request)
        self.has_notice = False

    def address(self, step: str) -> str:
        """The address of another page of this flow, as it is mounted."""
        name = f"{self._namespace}{self.url_name(step)}"
        return reverse(name, args=self.args if not self.kwargs else None, kwargs=self.kwargs)

    def go(self, step: str) -> HttpResponseBase:
        """Redirect to a page of this flow."""
        return HttpResponseRedirect(self.address(step))

    def render_form(
        self,
        templates: list[str],
        form: BaseForm | None = None,
        carried: Carried | None = None,
        **context: Any,
    ) -> HttpResponseBase:
        """A page. A notice about a field of the form is shown at the field, any other above."""
        carried = carried or Carried()
        field = carried.notice.field if carried.notice is not None else ""
        fields = form.fields if form is not None else {}
        notice: Any = carried.shown(requests.say, field if field in fields else "")
        if form is not None and notice.kind == "error":
            _blame(form, field, notice.text)
            context.setdefault("wait", notice.wait)
            notice = None
        countries = self.beside("asset", name="otpverify-countries.json")
        for phone in fields.values():
            if isinstance(phone, PhoneField) and countries:
                phone.offer_countries(countries)
        context = {
            "title": self.titles.get(self.step, ""),
            "form": form,
            "notice": notice,
            "here": self.request.get_full_path(),
            "links": {step: self.address(step) for step in self.pages},
            "style": self.beside("asset", name="otpverify.css"),
            "script": self.beside("asset", name="otpverify.js"),
            **context,
        }
        return self.response_class(
            request=self.request,
            template=templates,
            context=self.get_context_data(**context),  # type: ignore[attr-defined]  # FormView has it
            using=self.template_engine,
        )

    def beside(self, page: str, **kwargs: str) -> str:
        """The address of a page that is mounted with this one, or with
        `otpverify.integrations.django.urls`; empty if it is not mounted."""
        shared = {k: v for k, v in self.kwargs.items() if k not in self.own_kwargs}
        for namespace in (self._namespace, "otpverify:"):
            try:
                return reverse(f"{namespace}{page}", kwargs={**shared, **kwargs})
            except NoReverseMatch:
                continue
        return ""

    @property
    def _namespace(self) -> str:
        match = self.request.resolver_match
        return f"{match.namespace}:" if match is not None and match.namespace else ""


def _protected(view: Callable[..., Any], *, awaits: bool) -> Callable[..., Any]:
    """The view with Django's protection against forged forms. JSON needs none: no other site can
    make a browser send it (see `web.requests`)."""
    checked = csrf_protect(view)
    middleware = CsrfViewMiddleware(lambda _: HttpResponse())

    def read(request: HttpRequest) -> None:
        """Read the form. Django's page for one that cannot be read, such as in UTF-16, would read
        it again for the token, and fail again."""
        try:
            request.POST  # noqa: B018 - it is read here
        except BadRequest:
            request.csrf_processing_done = True  # type: ignore[attr-defined]  # Django's own mark
            raise

    def refusal(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase | None:
        read(request)
        middleware.process_request(request)
        return middleware.process_view(request, view, args, kwargs)

    if awaits:

        @wraps(view)
        async def protected(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if is_json(request.headers.get("Content-Type")):
                return await view(request, *args, **kwargs)
            # The token may be in the session, which synchronous code loads.
            refused = await sync_to_async(refusal)(request, *args, **kwargs)
            return refused if refused is not None else await checked(request, *args, **kwargs)

    else:

        @wraps(view)
        def protected(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if is_json(request.headers.get("Content-Type")):
                return view(request, *args, **kwargs)
            read(request)
            return checked(request, *args, **kwargs)

    return csrf_exempt(protected)  # of the middleware's check, since it is made here


def _blame(form: BaseForm, field: str, text: str) -> None:
    """Show an error at a field of a form that was not sent."""
    form.is_bound, form.data = True, {form.add_prefix(k): v for k, v in form.initial.items()}
    form.errors.clear()
    form.add_error(field, text)
